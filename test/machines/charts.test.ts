/** How every chart is built: drawable, pure, without time. */

import { describe, expect, test } from 'vitest';
import { type AnyStateMachine, createMachine, initialTransition, transition } from 'xstate';
import { agentMachine, breakerMachine, supervisorMachine } from '../../machines/index.ts';
import { drawMachine } from '../../src/inspect/drawing.ts';

/** Each machine with the places where it may have functions and eventless transitions. */
const charts: [string, AnyStateMachine, { functions: string[]; always: string[]; invokes: string[] }][] = [
  [
    'agent',
    agentMachine,
    {
      functions: [
        '.context',
        '.states.awaiting.states.backing-off.invoke.input',
        '.states.awaiting.states.calling.invoke.input',
        '.states.awaiting.states.failing.invoke.input',
        '.states.compressing.invoke.input',
        '.states.tool-loop.states.running.invoke.input',
      ],
      always: ['idle'],
      invokes: ['callModel', 'chooseBackend', 'compress', 'runTools', 'wait'].map((name) => `${name} ${name}`),
    },
  ],
  ['breaker', breakerMachine, { functions: ['.context'], always: [], invokes: [] }],
  ['supervisor', supervisorMachine, { functions: ['.context'], always: [], invokes: [] }],
];

describe.each(charts)('%s', (_name, machine, may) => {
  const nodes = everyNode(machine.root);

  test('no `after`, and `always` only where it may be', () => {
    expect(nodes.filter((node) => (node.after ?? []).length > 0).map(({ id }) => id)).toEqual([]);
    expect(nodes.filter((node) => node.config.always !== undefined).map(({ key }) => key)).toEqual(may.always);
  });

  test('no inline function but context and invoke input', () => {
    expect(functionsIn(machine.config, '')).toEqual(may.functions);
  });

  test('every state is described; every invoke has an id of its own and a named source', () => {
    expect(nodes.filter((node) => node.description === undefined).map(({ id }) => id)).toEqual([]);
    expect(nodes.flatMap((node) => node.invoke.map(({ id, src }) => `${id} ${String(src)}`)).sort()).toEqual(
      may.invokes,
    );
  });

  test('its config as JSON is the whole chart, which a tool can import', () => {
    const imported = createMachine(JSON.parse(JSON.stringify(machine.config)));
    expect(drawMachine(imported)).toEqual(drawMachine(machine));
    expect(machine.root.description).toEqual(expect.any(String));
  });

  test('its drawing has a name for every guard and action', () => {
    const drawn = JSON.parse(JSON.stringify(machine.definition)) as unknown;
    expect(namelessIn(drawn, '')).toEqual([]);
  });
});

describe('the supervisor answers each request by one effect', () => {
  const ask = { ticket: '7', chain: ['a', 'b'], backend: 'a', class: 'auth', shut: [] } as const;
  const down = { type: 'down', name: 'x' } as const;
  test.each([
    ['a free name', { type: 'spawn', ticket: '1', name: 'x', taken: false }, ['start the agent']],
    ['a taken name', { type: 'spawn', ticket: '1', name: 'x', taken: true }, ['refuse the name']],
    ['a fork', { type: 'fork', ticket: '1', name: 'x', taken: false, parentIsAlive: true }, ['start the fork']],
    [
      'a fork to a taken name',
      { type: 'fork', ticket: '1', name: 'x', taken: true, parentIsAlive: true },
      ['refuse the name'],
    ],
    [
      'a fork of the dead',
      { type: 'fork', ticket: '1', name: 'x', taken: false, parentIsAlive: false },
      ['refuse the parent'],
    ],
    ['a backend left', { type: 'choose', ...ask, tried: ['a'] }, ['answer with the next backend']],
    ['no backend left', { type: 'choose', ...ask, tried: ['a', 'b'] }, ['answer with nothing']],
    ['a kill', { type: 'kill', name: 'x', reason: 'enough' }, ['kill the agent']],
    ['a close', { type: 'close' }, ['kill every agent']],
    ['a death', { type: 'xstate.done.actor.x', actorId: 'x' }, ['report the death']],
    ['a crash', { type: 'xstate.error.actor.x', actorId: 'x', error: 0 }, ['report the failure']],
    ['one who stays dead', { ...down, comesBack: false, withGroup: false }, ['bury the agent']],
    ['one who comes back', { ...down, comesBack: true, withGroup: false }, ['restart the agent']],
    ['one for all', { ...down, comesBack: true, withGroup: true }, ['stop the group', 'restart the agent']],
    ['one too many', { ...down, comesBack: false, withGroup: true }, ['kill the group', 'bury the agent']],
  ])('%s', (_name, event, effects) => {
    const [open] = initialTransition(supervisorMachine);
    const [, actions] = transition(supervisorMachine, open, event as never);
    expect(actions.map(({ type }) => type)).toEqual(effects);
  });

  test('closed, it starts nothing and still buries', () => {
    const [open] = initialTransition(supervisorMachine);
    const [closed] = transition(supervisorMachine, open, { type: 'close' });
    const effectsOf = (event: object) =>
      transition(supervisorMachine, closed, event as never)[1].map(({ type }) => type);
    expect(effectsOf({ type: 'spawn', ticket: '1', name: 'x', taken: false })).toEqual(['refuse as closed']);
    expect(effectsOf({ type: 'fork', ticket: '1', name: 'x', taken: false, parentIsAlive: true })).toEqual([
      'refuse as closed',
    ]);
    expect(effectsOf({ type: 'choose', ...ask, tried: ['a'] })).toEqual(['answer with nothing']);
    expect(effectsOf({ type: 'xstate.done.actor.x', actorId: 'x' })).toEqual(['report the death']);
    expect(effectsOf({ type: 'down', name: 'x', comesBack: true, withGroup: true })).toEqual(['bury the agent']);
  });

  test('it counts, and remembers no agents', () => {
    const [open] = initialTransition(supervisorMachine);
    const events = [
      { type: 'choose', ...ask, tried: ['a'] },
      { type: 'choose', ...ask, tried: ['a', 'b'] },
      { type: 'spawn', ticket: '1', name: 'x', taken: false },
      { type: 'down', name: 'x', comesBack: true, withGroup: false },
      { type: 'down', name: 'x', comesBack: false, withGroup: false },
    ];
    const last = events.reduce((state, event) => transition(supervisorMachine, state, event as never)[0], open);
    expect(last.context).toEqual({ fallbacks: 1, restarts: 1 });
  });
});

type StateNode = AnyStateMachine['root'];

function everyNode(node: StateNode): StateNode[] {
  return [node, ...Object.values(node.states).flatMap((child) => everyNode(child as StateNode))];
}

function functionsIn(value: unknown, path: string): string[] {
  if (typeof value === 'function') return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value)
    .flatMap(([key, item]) => functionsIn(item, `${path}.${key}`))
    .sort();
}

/** Paths of actions and guards that lost their name: an inline one becomes null or an empty object. */
function namelessIn(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const here = `${path}.${key}`;
    if (key === 'actions' || key === 'entry' || key === 'exit') {
      const names = (Array.isArray(item) ? item : [item]).map((one) => (typeof one === 'string' ? one : one?.type));
      return names.every((name) => typeof name === 'string') ? [] : [here];
    }
    if (key === 'guard') return typeof item === 'string' || typeof item?.type === 'string' ? [] : [here];
    return namelessIn(item, here);
  });
}
