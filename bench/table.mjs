/** Results as one aligned table. */

const targets = { spawn: 100, fork: 100, idleBytes: 6 * 1024, flat: 1.3, window: 1.2, importMs: 80, installMb: 80 };

/** Rows: name, bare, troupe, overhead, ratio, target, met. */
export function comparisonRow(title, target, { bareUs, troupeUs, overheadUs, ratio, spread }) {
  return [
    title,
    us(bareUs),
    us(troupeUs),
    `${overheadUs < 0 ? '' : '+'}${us(overheadUs)}`,
    `${ratio.toFixed(2)}x (${spread.map((value) => value.toFixed(2)).join('-')})`,
    `<= ${target}x`,
    met(ratio <= target),
  ];
}

const scaleRows = [
  { key: 'spawnUs', title: 'spawn', unit: us, target: [targets.spawn, 'us'] },
  { key: 'forkUs', title: 'fork', unit: us, target: [targets.fork, 'us'] },
  { key: 'askUs', title: 'first ask, no network', unit: us },
  { key: 'killUs', title: 'kill', unit: us },
  { key: 'spawnBesideUs', title: 'spawn of one more', unit: us, flat: true },
  { key: 'askBesideUs', title: 'ask of one more', unit: us, flat: true },
  { key: 'killBesideUs', title: 'kill of one more', unit: us, flat: true },
  { key: 'closeUs', title: 'close, per agent', unit: us },
  { key: 'idleBytes', title: 'idle agent', unit: bytes, target: [targets.idleBytes, 'B'] },
  { key: 'askedBytes', title: 'agent after one ask', unit: bytes },
  { key: 'forkBytes', title: 'idle fork', unit: bytes },
];

/** One row for each figure and number of agents, then one for its flatness. */
export function scaleTable(rows, flatness) {
  return scaleRows.flatMap(({ key, title, unit, target, flat }) => {
    const lines = rows.map((row) => [
      `${title}, ${row.agents.toLocaleString('en')} agents`,
      '',
      unit(row[key]),
      ...['', ''],
      target === undefined ? '' : `<= ${unit(target[0])}`,
      target === undefined ? '' : met(row[key] <= target[0]),
    ]);
    if (flat !== true || rows.length < 2) return lines;
    const ratio = flatness(rows, key);
    const range = [rows[0], rows.at(-1)].map((row) => row.agents.toLocaleString('en')).join(' to ');
    const line = [`${title}, flat from ${range}`, '', '', '', `${ratio.toFixed(2)}x`, `<= ${targets.flat}x`];
    return [...lines, [...line, met(ratio <= targets.flat)]];
  });
}

/** The first and the last block of turns, and the block that is furthest from the median of all. */
export function windowRows({ turns, blockTurns, blocksUs, furthest }) {
  const title = 'chat with a window';
  const from = (turn) => `${title}, ask from turn ${turn.toLocaleString('en')}`;
  return [
    [from(blockTurns), '', us(blocksUs[0]), '', '', '', ''],
    [from(turns - blockTurns), '', us(blocksUs.at(-1)), '', '', '', ''],
    [`${title}, flat`, '', '', '', `${furthest.toFixed(2)}x`, `<= ${targets.window}x`, met(furthest <= targets.window)],
  ];
}

export function importRow(name, { wallMs, cpuMs }) {
  const target = name === 'root' ? [`<= ${targets.importMs} ms`, met(wallMs <= targets.importMs)] : ['', ''];
  return [`cold import, ${name}`, '', `${wallMs.toFixed(0)} ms`, `${cpuMs.toFixed(0)} ms CPU`, '', ...target];
}

export function installRow({ bytes: total }) {
  const megabytes = total / 1e6;
  const target = [`<= ${targets.installMb} MB`, met(megabytes <= targets.installMb)];
  return ['install without dev', '', `${megabytes.toFixed(1)} MB`, '', '', ...target];
}

/** Columns as wide as their widest cell; all but the first are aligned to the right. */
export function table(header, rows) {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const format = (line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [format(header), rule, ...rows.map(format)].join('\n');
}

export const header = ['', 'bare', 'troupe', 'overhead', 'ratio (quartiles)', 'target', 'met'];

export function us(value) {
  const digits = Math.abs(value) < 10 ? 1 : 0;
  return `${value.toFixed(digits)} us`;
}

function bytes(value) {
  return `${Math.round(value)} B`;
}

function met(yes) {
  return yes ? 'yes' : 'NO';
}
