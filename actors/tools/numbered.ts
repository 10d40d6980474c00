/**
 * Text with line numbers, as `read_file` gives it: made here and read back here, exactly.
 *
 * Every line of the file stands as `12| text`; the notes that follow it stand in brackets. The last note says where
 * the text ended: at the end of the file, or at a line after which one must go on.
 */

/** The part of a file that is shown. */
export interface NumberedText {
  readonly text: string;
  /** The line to go on from; absent when the end of the file was reached. */
  readonly next?: number;
}

/** What bounds the shown part. */
export interface NumberingLimits {
  /** First line, from 1. */
  readonly from: number;
  /** Last line. */
  readonly to: number;
  readonly lineLength: number;
  /** Characters in all. */
  readonly length: number;
}

/** What was read back from numbered text. */
export interface ReadBack {
  readonly from: number;
  /** The exact text of the shown lines, line ends included. */
  readonly text: string;
  /** False when lines were cut: the text is then not that of the file. */
  readonly exact: boolean;
  readonly next?: number;
}

/** Numbers the lines of a file from `from` to `to`, as far as the limits go. */
export function numberLines(text: string, limits: NumberingLimits): NumberedText {
  const lines = text.split('\n');
  const closed = lines.at(-1) === '';
  if (closed) lines.pop();
  const shown: string[] = [];
  let length = 0;
  let number = limits.from;
  for (; number <= Math.min(limits.to, lines.length) && length < limits.length; number += 1) {
    const line = lines[number - 1] ?? '';
    const cut = line.length - limits.lineLength;
    shown.push(`${number}| ${cut > 0 ? line.slice(0, limits.lineLength) : line}`);
    if (cut > 0) shown.push(`[line ${number} goes on for ${cut} characters]`);
    length += Math.min(line.length, limits.lineLength) + 1;
  }
  if (number <= lines.length) {
    shown.push(`[lines ${limits.from} to ${number - 1} of ${lines.length}; go on with from: ${number}]`);
    return { text: shown.join('\n'), next: number };
  }
  shown.push(closed || lines.length === 0 ? '[end of file]' : '[end of file, no newline at its end]');
  return { text: shown.join('\n') };
}

/** Reads numbered text back; undefined when it is none, or was cut by somebody else. */
export function readNumbered(numbered: string): ReadBack | undefined {
  const rows = numbered.split('\n');
  const last = rows.pop() ?? '';
  const next = /^\[lines \d+ to \d+ of \d+; go on with from: (\d+)\]$/.exec(last)?.[1];
  if (next === undefined && !last.startsWith('[end of file')) return undefined;
  const lines: string[] = [];
  let from = 0;
  let exact = true;
  for (const row of rows) {
    const bar = row.indexOf('| ');
    const number = Number(row.slice(0, Math.max(bar, 0)) || Number.NaN);
    if (Number.isNaN(number)) {
      if (!/^\[line \d+ goes on/.test(row)) return undefined;
      exact = false;
      continue;
    }
    if (lines.length === 0) from = number;
    if (number !== from + lines.length) return undefined;
    lines.push(row.slice(bar + 2));
  }
  const open = last.includes('no newline');
  const text = lines.length === 0 ? '' : lines.join('\n') + (open ? '' : '\n');
  return { from, text, exact, ...(next !== undefined && { next: Number(next) }) };
}
