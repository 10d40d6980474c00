/** Each broken invariant is told, and by its name. */
import { expect, test } from 'vitest';
import type { Message } from '../../src/core/types.ts';
import { agentInvariants } from '../../src/testing/invariants.ts';
import type { LogEntry } from '../../src/testing/simulation-log.ts';

const base = { at: 0, seq: 1, agent: 'a' } as const;
const accepted = (askId: string, prompt = askId): LogEntry => {
  return { ...base, kind: 'ask', phase: 'accepted', askId, prompt };
};
const settled = (askId: string): LogEntry => ({ ...base, kind: 'ask', phase: 'settled', askId, outcome: 'replied' });
const called = (askId: string): LogEntry => {
  return { ...base, kind: 'call', phase: 'begin', askId, backend: 'b', model: 'm', step: 1 };
};
const tool = (phase: 'begin' | 'end'): LogEntry => {
  const key = { ...base, kind: 'tool', askId: '1', callId: 'c', tool: 't' } as const;
  return phase === 'begin' ? { ...key, phase } : { ...key, phase, durationMs: 0, isError: false };
};
const said = (agent: string, ...messages: Message[]): LogEntry => ({ ...base, agent, kind: 'conversation', messages });
const pair = (prompt: string): Message[] => [
  { role: 'user', content: prompt },
  { role: 'assistant', content: 'yes' },
];

test.each<[string, LogEntry[]]>([
  ['I1', [accepted('1')]],
  ['I1', [settled('1')]],
  ['I1', [accepted('1'), settled('1'), settled('1')]],
  ['I2', [accepted('1'), { ...base, kind: 'dead' }, settled('1')]],
  ['I3', [accepted('1'), accepted('2'), called('2'), called('1'), settled('2'), settled('1')]],
  ['I4', [said('a', ...pair('x'), { role: 'system', content: 's' })]],
  ['I5', [accepted('1'), tool('begin'), settled('1')]],
  ['I5', [accepted('1'), tool('end'), settled('1')]],
  ['I6', [accepted('1'), settled('1'), said('a', ...pair('1'), ...pair('foreign')), said('b', ...pair('foreign'))]],
  ['I8', [accepted('1'), called('1'), settled('1'), called('1')]],
  ['I8', [accepted('1'), settled('1'), tool('begin')]],
])('%s', (name, entries) => {
  const problems = agentInvariants(entries);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(name);
});

test('a fork that was asked what its parent was asked before is in order', () => {
  const parent = [...pair('hello'), ...pair('more')];
  const entries = [
    ...[accepted('1', 'hello'), settled('1'), accepted('2', 'more'), settled('2'), said('a', ...parent)],
    ...[
      { ...accepted('3', 'hello'), agent: 'b' },
      { ...settled('3'), agent: 'b' },
    ],
    said('b', ...parent, ...pair('hello')),
  ];
  expect(agentInvariants(entries)).toEqual([]);
});
