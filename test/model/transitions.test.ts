/** Every transition of the model, walked on the real agent: the gate is that all are met. */
import { afterAll, expect, test } from 'vitest';
import { transitionPaths } from '../../src/testing/transition-paths.ts';
import { enabledEvents, type Model, modelKey, startModel } from './agent-model.ts';
import { walk } from './compare.ts';
import { nextModel } from './next-model.ts';
import type { ModelEvent } from './shape.ts';
import { shapes } from './shapes.ts';

const total = { met: 0, all: 0, states: 0, paths: 0 };

test.each(Object.entries(shapes))(
  '%s',
  async (name, shape) => {
    const { states, transitions, paths } = transitionPaths<Model, ModelEvent>({
      start: startModel(shape),
      events: enabledEvents,
      next: nextModel,
      key: modelKey,
    });
    const met = new Set<string>();
    for (const path of paths) await walk(shape, path, met);
    total.met += met.size;
    total.all += transitions.length;
    total.states += states.length;
    total.paths += paths.length;
    report(`${name}: ${states.length} states, ${met.size}/${transitions.length} transitions, ${paths.length} paths`);
    expect(transitions.filter((transition) => !met.has(transition))).toEqual([]);
  },
  60_000,
);

afterAll(() => {
  report(`all: ${total.states} states, transitions met ${total.met}/${total.all}, ${total.paths} paths`);
});

function report(line: string): void {
  process.stdout.write(`transition coverage, ${line}\n`);
}
