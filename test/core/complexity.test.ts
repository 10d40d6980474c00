/** How hard a task is: single signs, what must not count, and how often the guess is right on labelled prompts. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { analyzeComplexity } from '../../src/core/complexity.ts';

const seed = 20_251_107;

/** The reasons but for the one that every task has, without their weights. */
function reasonsOf(task: string): string[] {
  return analyzeComplexity(task)
    .reasons.map(({ what }) => what)
    .slice(1);
}

describe('a sign is found', () => {
  test.each([
    ['Prove it.', ['a proof or a derivation ("prove")']],
    ['Can you design a logo?', ['a design or an architecture ("design")']],
    ['Our roadmap', ['a plan over time, a migration ("roadmap")']],
    ['Debugging', ['a diagnosis ("debug")']],
    ['Name the trade-offs', ['a judgement between positions ("trade off")']],
    ['Refactor it', ['work over many files ("refactor")']],
    ['Optimize it', ['work at the limits of speed, size or safety ("optimiz")']],
    ['Explain it', ['a text, code, a sum or an explanation to make ("explain")']],
    ['Translate: yes', ['one operation on what is given ("translate")']],
    ['Who is it?', ['a question of fact ("who")']],
    ['Beweise es.', ['a proof or a derivation ("beweis")']],
    ['Begründe es.', ['a judgement between positions ("begrund")']],
    ['Diseña una casa.', ['a design or an architecture ("disena")']],
    ['¿Dónde está?', ['a question of fact ("donde")']],
    ['请翻译', ['one operation on what is given ("翻译")']],
    ['证明它', ['a proof or a derivation ("证明")']],
  ])('%s', (task, reasons) => {
    expect(reasonsOf(task)).toEqual(reasons);
  });

  test.each([
    ['nothing is asked', ''],
    ['part of another word', 'Which planet has designers? Neither who nor sort comes first.'],
    [
      'said by another',
      'It said "prove it, refactor the design". And “debug this”. And (design) this. And «analiza» it. And 「证明」 it.',
    ],
    ['code', 'This is C:\n```\n// prove, design, migrate and debug\n```'],
    ['what was pasted below a colon', 'Who said this:\nDesign and prove it, debug it, refactor it.'],
    ['what was pasted', 'Who said it?\n\nDesign and prove it, debug it, refactor it.\n\nThank you.'],
    ['a language that is not known', 'Todista, että alkulukuja on äärettömän monta'],
  ])('but not in what is no request: %s', (_what, task) => {
    const signs = reasonsOf(task).filter((what) => what.includes('("'));
    expect(signs).toEqual(task.startsWith('Who') ? ['a question of fact ("who")'] : []);
  });
});

describe('what is counted', () => {
  test.each([
    ['parts', 'One, two; three: four.', [['4 parts of what is asked', 0.075]]],
    ['parts in Chinese', '一，二；三：四。', [['4 parts of what is asked', 0.075]]],
    ['words', 'word '.repeat(22), [['22 words that ask', 0.04]]],
    ['words in Chinese', '山水'.repeat(22), [['22 words that ask', 0.04]]],
    ['constraints', 'It must end without a dot', [['2 constraints', 0.04]]],
    ['listed points', 'These\n- a\n- b\n  * c\n2. d', [['4 listed points', 0.04]]],
    ['blocks of code', 'These\n```\na\n```\n```\nb\n```', [['2 blocks of code', 0.2]]],
    [
      'blocks of code with the line ends of Windows',
      'A\r\n\r\nmust\r\n\r\nB\r\n```\r\na\r\n```',
      [['1 blocks of code', 0.1]],
    ],
  ])('%s', (_what, task, expected) => {
    const counted = analyzeComplexity(task).reasons.slice(1);
    expect(counted.map(({ what, weight }) => [what, Number(weight.toFixed(6))])).toEqual(expected);
  });

  test('has a limit', () => {
    const long = 'must, without; at most: at least. under? below! exactly, keep, avoid, never, '.repeat(1000);
    expect(analyzeComplexity(`${long}\n- a`.repeat(50)).score).toBeLessThanOrEqual(0.3 + 0.2 + 0.15 + 0.1 + 0.1);
  });
});

describe('whatever is asked', () => {
  const word = fc.constantFrom(
    'design',
    'prove',
    'plan',
    'must',
    ',',
    '.',
    '\n\n',
    '```',
    '"',
    '(',
    ')',
    '- ',
    '证明',
    '，',
  );
  const tasks = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(word, { maxLength: 60 }).map((words) => words.join(' ')),
  );

  test('the score is from 0 to 1, is the sum of its reasons, and the same again', () => {
    const property = fc.property(tasks, (task) => {
      const { score, reasons } = analyzeComplexity(task);
      const sum = reasons.reduce((total, { weight }) => total + weight, 0);
      expect(score).toBeCloseTo(Math.min(1, Math.max(0, sum)), 3);
      expect(reasons.slice(1).every(({ weight }) => weight !== 0)).toBe(true);
      expect(analyzeComplexity(task)).toEqual({ score, reasons });
    });
    fc.assert(property, { seed, numRuns: 1000 });
  });

  test('what is pasted between request and thanks does not count', () => {
    const paragraph = tasks.filter(
      (text) => text.trim() !== '' && !text.includes('```') && !/^[ \t]*[-*•\d]/m.test(text),
    );
    const property = fc.property(paragraph, (pasted) => {
      const around = (text: string) => analyzeComplexity(`Translate this.\n\n${text}\n\nThank you.`);
      expect(around(pasted)).toEqual(around('So.'));
    });
    fc.assert(property, { seed, numRuns: 1000 });
  });
});

interface Labelled {
  readonly label: 'simple' | 'medium' | 'hard';
  readonly language: string;
  readonly prompt: string;
}

const fixture = new URL('../fixtures/prompts/labelled-prompts.json', import.meta.url);
const { prompts } = JSON.parse(readFileSync(fixture, 'utf8')) as { readonly prompts: readonly Labelled[] };
const labels = ['simple', 'medium', 'hard'] as const;

/** The split that the fixture describes. */
function half(parity: 0 | 1): Labelled[] {
  const random = mulberry32(seed);
  const shuffled = [...prompts];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
  }
  return shuffled.filter((_, index) => index % 2 === parity);
}

function mulberry32(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function guess(prompt: string): Labelled['label'] {
  const { score } = analyzeComplexity(prompt);
  if (score > 0.8) return 'hard';
  return score > 0.5 ? 'medium' : 'simple';
}

/** The share that is guessed right, printed with who was taken for what. */
function accuracy(name: string, half: readonly Labelled[]): number {
  const right = half.filter(({ prompt, label }) => guess(prompt) === label).length;
  const rows = labels.map((label) => {
    const guesses = half.filter((each) => each.label === label).map(({ prompt }) => guess(prompt));
    const cells = labels.map((as) => guesses.filter((each) => each === as).length);
    return `${label.padStart(8)} ${cells.map((cell) => String(cell).padStart(7)).join('')}`;
  });
  const head = `as:      ${labels.map((label) => label.padStart(7)).join('')}`;
  process.stdout.write(`${name} half: ${right} of ${half.length} right\n${head}\n${rows.join('\n')}\n`);
  return right / half.length;
}

describe('labelled prompts', () => {
  test('are enough, each label in both halves, none twice', () => {
    expect(prompts.length).toBeGreaterThanOrEqual(80);
    expect(new Set(prompts.map(({ prompt }) => prompt)).size).toBe(prompts.length);
    for (const parity of [0, 1] as const)
      for (const label of labels)
        expect(half(parity).filter((each) => each.label === label).length).toBeGreaterThan(10);
  });

  test('are guessed; the figure that counts is that of the half nothing was tuned on', () => {
    expect(accuracy('development', half(0))).toBeGreaterThan(0.85);
    accuracy('final', half(1));
  });
});
