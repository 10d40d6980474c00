/** Machines as drawings and as Mermaid text. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { setup } from 'xstate';
import { agentMachine } from '../../machines/agent.ts';
import { breakerMachine } from '../../machines/breaker.ts';
import { supervisorMachine } from '../../machines/supervisor.ts';
import { drawMachine } from '../../src/inspect/drawing.ts';
import { machineToMermaid } from '../../src/inspect/mermaid.ts';

const lamp = setup({
  guards: { 'has power': () => true, 'is dark': () => true },
  actions: { blink: () => {} },
}).createMachine({
  id: 'lamp',
  description: 'A lamp.',
  initial: 'off-duty',
  on: { smash: { target: '.broken' }, look: { actions: 'blink' } },
  states: {
    'off-duty': { on: { press: [{ guard: 'has power', target: 'on' }, { target: 'broken' }] } },
    on: {
      description: 'It shines.',
      initial: 'dim',
      states: {
        dim: { on: { press: { target: 'bright' } }, always: { guard: 'is dark', target: 'bright' } },
        bright: { on: { press: { target: '#lamp.off-duty' } } },
      },
    },
    broken: { type: 'final' },
  },
});

test('a machine is drawn as states and edges', () => {
  expect(drawMachine(lamp)).toEqual({
    id: 'lamp',
    description: 'A lamp.',
    states: [
      { path: 'off-duty', parent: '', description: '', initial: true, final: false, invokes: [] },
      { path: 'on', parent: '', description: 'It shines.', initial: false, final: false, invokes: [] },
      { path: 'on.dim', parent: 'on', description: '', initial: true, final: false, invokes: [] },
      { path: 'on.bright', parent: 'on', description: '', initial: false, final: false, invokes: [] },
      { path: 'broken', parent: '', description: '', initial: false, final: true, invokes: [] },
    ],
    edges: [
      { source: '', target: 'broken', ways: [{ event: 'smash' }] },
      { source: 'off-duty', target: 'on', ways: [{ event: 'press', guard: 'has power' }] },
      { source: 'off-duty', target: 'broken', ways: [{ event: 'press' }] },
      { source: 'on.dim', target: 'on.bright', ways: [{ event: 'press' }, { event: 'always', guard: 'is dark' }] },
      { source: 'on.bright', target: 'off-duty', ways: [{ event: 'press' }] },
    ],
  });
});

test('and written for Mermaid', () => {
  expect(machineToMermaid(lamp)).toBe(
    [
      'stateDiagram-v2',
      '  state "anywhere" as anywhere',
      '  state "off-duty" as off_duty',
      '  [*] --> off_duty',
      '  state "on" as on',
      '  state on {',
      '    state "dim" as on_dim',
      '    [*] --> on_dim',
      '    state "bright" as on_bright',
      '  }',
      '  state "broken" as broken',
      '  broken --> [*]',
      '  anywhere --> broken : smash',
      '  off_duty --> on : press [has power]',
      '  off_duty --> broken : press',
      '  on_dim --> on_bright : press / always [is dark]',
      '  on_bright --> off_duty : press',
      '',
    ].join('\n'),
  );
});

test.each([agentMachine, supervisorMachine, breakerMachine])('$id can be drawn', (machine) => {
  const { states, edges } = drawMachine(machine);
  const paths = new Set(['', ...states.map(({ path }) => path)]);
  expect(states.length).toBeGreaterThan(1);
  expect(edges.filter(({ source, target }) => !paths.has(source) || !paths.has(target))).toEqual([]);
  for (const { path } of states) expect(machineToMermaid(machine)).toContain(`"${path.split('.').at(-1)}"`);
});

test('what lies deeper can be left out; what leads out of there stays', () => {
  expect(machineToMermaid(lamp, { depth: 1, labels: false })).toBe(
    [
      'stateDiagram-v2',
      '  state "anywhere" as anywhere',
      '  state "off-duty" as off_duty',
      '  [*] --> off_duty',
      '  state "on" as on',
      '  state "broken" as broken',
      '  broken --> [*]',
      '  anywhere --> broken',
      '  off_duty --> on',
      '  off_duty --> broken',
      '  on --> off_duty',
      '',
    ].join('\n'),
  );
});

/** What stands in a document between the marks of this name. */
function between(file: string, name: string): string | undefined {
  const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
  return new RegExp(`<!-- ${name}:start -->\\n\`\`\`mermaid\\n([\\s\\S]*?)\`\`\`\\n<!-- ${name}:end -->`).exec(
    text,
  )?.[1];
}

test('the documents draw the machines that are shipped', () => {
  expect(between('README.md', 'agent-machine')).toBe(machineToMermaid(agentMachine, { depth: 1, labels: false }));
  for (const machine of [agentMachine, supervisorMachine, breakerMachine])
    expect(between('docs/machines.md', machine.id)).toBe(machineToMermaid(machine));
});
