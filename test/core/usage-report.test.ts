/** Reports, against the entries that the ledger was made of. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryStore } from '../../actors/store/memory.ts';
import type { LedgerEntry } from '../../actors/store/store.ts';
import { addKnown, unknownUsage } from '../../src/core/usage.ts';
import { sumOf, toCsv, toJson, type UsageRow, usageKeys, usageReport } from '../../src/core/usage-report.ts';

const row = (agent: string, day: string, more: Partial<UsageRow> = {}): UsageRow => ({
  ...{ agent, backend: 'openai', model: 'gpt-4o', day, calls: 1, unpriced: 0 },
  usage: { inputTokens: 10, outputTokens: 2, cacheReadTokens: undefined, cacheWriteTokens: undefined },
  costUsd: 0.1,
  ...more,
});

const rows = [
  row('writer', '2026-11-24', { costUsd: 0.2, calls: 3 }),
  row('reader', '2026-11-23', { model: 'own', unpriced: 1, costUsd: undefined, usage: unknownUsage }),
  row('writer', '2026-11-23', { unpriced: 1 }),
];

describe('a report', () => {
  test('sums what has the same keys, in their order; unknown is not 0', () => {
    const writer = { inputTokens: 20, outputTokens: 4, cacheReadTokens: undefined, cacheWriteTokens: undefined };
    expect(usageReport(rows, ['agent'])).toEqual({
      by: ['agent'],
      lines: [
        { key: ['reader'], calls: 1, unpriced: 1, usage: unknownUsage, costUsd: undefined },
        { key: ['writer'], calls: 4, unpriced: 1, usage: writer, costUsd: 0.3 },
      ],
      total: { calls: 5, unpriced: 2, usage: writer, costUsd: 0.3 },
    });
  });

  test('tells apart as much as it is asked for', () => {
    const keys = (...by: (typeof usageKeys)[number][]) => usageReport(rows, by).lines.map(({ key }) => key.join(' '));
    expect([keys(), keys('day', 'agent'), keys('model', 'backend')]).toEqual([
      [''],
      ['2026-11-23 reader', '2026-11-23 writer', '2026-11-24 writer'],
      ['gpt-4o openai', 'own openai'],
    ]);
    expect(usageReport([], ['agent'])).toEqual({
      ...{ by: ['agent'], lines: [] },
      total: { calls: 0, unpriced: 0, usage: unknownUsage, costUsd: undefined },
    });
  });
});

const known = fc.option(fc.nat(1_000_000), { nil: undefined });
const entry: fc.Arbitrary<LedgerEntry> = fc.record({
  agent: fc.constantFrom('a', 'b', '__proto__'),
  backend: fc.constantFrom('x', 'y'),
  model: fc.constantFrom('m', 'n'),
  at: fc.integer({ min: Date.UTC(2026, 10, 20), max: Date.UTC(2026, 10, 25) }),
  calls: fc.constantFrom(0, 1),
  usage: fc.record({
    inputTokens: known,
    outputTokens: known,
    cacheReadTokens: known,
    cacheWriteTokens: known,
  }),
  costUsd: fc.option(
    fc.integer({ min: 0, max: 1e12 }).map((nano) => nano / 1e9),
    { nil: undefined },
  ),
});

test('however the ledger was filled, the lines of every report add up to what was entered', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 40 }), fc.subarray([...usageKeys]), async (entries, by) => {
      const store = memoryStore();
      for (const each of entries) store.addUsage(each);
      const report = usageReport(await store.ledger(), by);
      const nano = entries.map(({ costUsd }) => costUsd).filter((usd) => usd !== undefined);
      const sum = (name: keyof LedgerEntry['usage']) =>
        entries.reduce<number | undefined>((all, { usage }) => addKnown(all, usage[name]), undefined);
      expect(report.total).toEqual({
        calls: entries.filter(({ calls }) => calls === 1).length,
        unpriced: entries.filter(({ calls, costUsd }) => calls === 1 && costUsd === undefined).length,
        usage: {
          inputTokens: sum('inputTokens'),
          outputTokens: sum('outputTokens'),
          cacheReadTokens: sum('cacheReadTokens'),
          cacheWriteTokens: sum('cacheWriteTokens'),
        },
        costUsd: nano.length === 0 ? undefined : nano.reduce((all, usd) => all + Math.round(usd * 1e9), 0) / 1e9,
      });
      expect(sumOf(report.lines)).toEqual(report.total);
      for (const order of [[...entries].reverse(), [...entries].sort((a, b) => a.at - b.at)]) {
        const other = memoryStore();
        for (const each of order) other.addUsage(each);
        expect(usageReport(await other.ledger(), by)).toEqual(report);
      }
    }),
  );
});

test('whatever rows cost, and in any order, the lines add up to the total to the last digit', () => {
  const usd = fc.double({ min: 0, max: 1000, noNaN: true });
  const some = fc.array(fc.record({ agent: fc.constantFrom('a', 'b', 'c'), costUsd: usd }), {
    minLength: 2,
    maxLength: 30,
  });
  fc.assert(
    fc.property(some, (costs) => {
      const each = costs.map(({ agent, costUsd }) => row(agent, '2026-11-24', { costUsd }));
      const report = usageReport(each, ['agent']);
      expect(sumOf(report.lines)).toEqual(report.total);
      expect(usageReport(each.reverse(), ['agent'])).toEqual(report);
    }),
  );
});

describe('CSV', () => {
  test('has a field for each figure, an empty one for what is not known, and no total', () => {
    expect(toCsv(usageReport(rows, ['agent', 'day']))).toBe(
      [
        'agent,day,calls,unpriced,inputTokens,outputTokens,cacheReadTokens,cacheWriteTokens,costUsd',
        'reader,2026-11-23,1,1,,,,,',
        'writer,2026-11-23,1,1,10,2,,,0.100000000',
        'writer,2026-11-24,3,0,10,2,,,0.200000000',
        '',
      ].join('\r\n'),
    );
  });

  test.each([
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', "'\t=1"],
    ["'=1", "''=1"],
    ['=1,"2"', '"\'=1,""2"""'],
    ['a,b', '"a,b"'],
    ['a "b"', '"a ""b"""'],
    ['a\r\nb', '"a\r\nb"'],
    ['a=b', 'a=b'],
  ])('%j is no formula and no more than one field: %j', (agent, field) => {
    const head = 'agent,calls,unpriced,inputTokens,outputTokens,cacheReadTokens,cacheWriteTokens,costUsd\r\n';
    const csv = toCsv(usageReport([row(agent, '2026-11-24')], ['agent']));
    expect(csv).toBe(`${head}${field},1,0,10,2,,,0.100000000\r\n`);
  });

  test('comes back as it was', () => {
    const name = fc.oneof(fc.string({ unit: fc.constantFrom(...'=+-@\'",;\r\n\t ab') }), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 10 }), (names) => {
        const report = usageReport(
          names.map((agent) => row(agent, '2026-11-24')),
          ['agent', 'model'],
        );
        const [, ...records] = parseCsv(toCsv(report));
        expect(records.map((fields) => fields.slice(0, 3))).toEqual(
          report.lines.map(({ key: [agent = ''] }) => [agent, 'gpt-4o', '1']),
        );
      }),
    );
  });
});

/** The fields of RFC 4180, without the apostrophe that keeps a spreadsheet from computing. */
function parseCsv(text: string): string[][] {
  const records: string[][] = [[]];
  for (const [, quoted, bare = '', end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    records.at(-1)?.push((quoted?.replaceAll('""', '"') ?? bare).replace(/^'/, ''));
    if (end === '\r\n') records.push([]);
  }
  expect(records.pop()).toEqual([]);
  return records;
}

test('JSON says null for what is not known, and takes what else belongs to it', () => {
  const report = usageReport([row('a', '2026-11-24', { costUsd: undefined, unpriced: 1 })], ['agent']);
  const usage = { inputTokens: 10, outputTokens: 2, cacheReadTokens: null, cacheWriteTokens: null };
  const sums = { calls: 1, unpriced: 1, usage, costUsd: null };
  expect(JSON.parse(toJson(report, { more: 1 }))).toEqual({
    ...{ by: ['agent'], lines: [{ key: ['a'], ...sums }], total: sums, more: 1 },
  });
});
