/** Reading what models write. */
import { describe, expect, test } from 'vitest';
import { checkPlaces, type Finding, mergeFindings, parseAnswer } from '../../src/review/findings.ts';

const item = { severity: 'high', file: 'a.js', line: 3, title: 'T', detail: 'D', suggestion: 'S' };
const finding: Finding = {
  severity: 'high',
  file: 'a.js',
  line: 3,
  title: 'T',
  detail: 'D',
  suggestion: 'S',
  experts: ['x'],
};
const json = JSON.stringify({ findings: [item], summary: 'Sum.' });

describe('an answer', () => {
  test.each([
    ['is JSON', json],
    ['stands in a fence', `Sure!\n\`\`\`json\n${json}\n\`\`\`\nDone.`],
    ['stands in a fence without a name', `\`\`\`\n${json}\n\`\`\``],
    ['stands amid prose', `Here: ${json} I hope it helps.`],
    ['has a comma too many', json.replace('],', ',],')],
    ['has single quotes', json.replaceAll('"', "'")],
  ])('%s', (_name, text) => {
    expect(parseAnswer(text, 'x')).toEqual({ findings: [finding], summary: 'Sum.', unusable: 0 });
  });

  test.each([
    ['a bare list', JSON.stringify([item]), [finding]],
    ['another severity', JSON.stringify([{ ...item, severity: 'Blocker' }]), [{ ...finding, severity: 'critical' }]],
    [
      'a severity that nobody knows',
      JSON.stringify([{ ...item, severity: 'odd' }]),
      [{ ...finding, severity: 'medium' }],
    ],
    ['the line in the path', JSON.stringify([{ ...item, file: './a.js:3-9', line: undefined }]), [finding]],
    ['the line as text', JSON.stringify([{ ...item, line: '3' }]), [finding]],
    ['no line', JSON.stringify([{ ...item, line: null }]), [{ ...finding, line: 1 }]],
    ['backslashes', JSON.stringify([{ ...item, file: 'b\\a.js' }]), [{ ...finding, file: 'b/a.js' }]],
  ])('%s is understood', (_name, text, findings) => {
    expect(parseAnswer(text, 'x')?.findings).toEqual(findings);
  });

  test.each(['', 'All is well.', '{"thoughts": "none"}', '42', '"findings"'])('%j holds none', (text) => {
    expect(parseAnswer(text, 'x')).toBeUndefined();
  });

  test('one that was cut keeps its findings', () => {
    const text = `\`\`\`json\n${json.slice(0, -4)}`;
    expect(parseAnswer(text, 'x')).toEqual({ findings: [finding], summary: '', unusable: 0 });
  });

  test('items that are no finding are counted', () => {
    const text = JSON.stringify([item, { title: 'no file' }, { file: 'a.js' }, 'text', null]);
    expect(parseAnswer(text, 'x')).toEqual({ findings: [finding], summary: '', unusable: 4 });
  });
});

test('places that do not exist are left out', () => {
  const findings = [finding, { ...finding, line: 4 }, { ...finding, file: 'b.js' }];
  expect(checkPlaces(findings, (file) => (file === 'a.js' ? 3 : undefined))).toEqual({ real: [finding], imagined: 2 });
});

test('the most severe first, then by place; the same of two experts is one', () => {
  const low: Finding = { ...finding, severity: 'low', file: '0.js' };
  const later: Finding = { ...finding, line: 10 };
  expect(mergeFindings([low, later, finding, { ...finding, title: 't', experts: ['y'] }])).toEqual([
    { ...finding, experts: ['x', 'y'] },
    later,
    low,
  ]);
});
