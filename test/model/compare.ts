/** Holds the real agent against the model, event by event. */
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { transitionName } from '../../src/testing/transition-paths.ts';
import { type Model, modelKey, runningTools, startModel } from './agent-model.ts';
import { requestOf } from './model-lines.ts';
import { nextModel } from './next-model.ts';
import { nothingLeft, type Observation, type RealAgent, realAgent } from './real-agent.ts';
import type { ModelEvent, Shape } from './shape.ts';

/** What must be seen of an agent that is where the model is. */
function expected(model: Model): Observation {
  const { at, hand, mailbox, outside, asks, refusals, deadLetters, log, twin, shape, lives, lateResults } = model;
  const all = Object.entries(asks);
  const ask = asks[hand ?? ''];
  const open = all.filter(([, { outcome }]) => outcome === undefined).length;
  const ended = all.flatMap(([id, { outcome }]) => (outcome === undefined ? [] : [[id, outcome]]));
  const running = at === 'tools' ? runningTools(ask) : 0;
  return {
    ...{ at: places[at], status: at === 'dead' ? 'done' : 'active', hand: hand ?? null, mailbox },
    waiting: mailbox.length + outside.length,
    outcomes: Object.fromEntries(ended),
    seen: Object.fromEntries(all.map(([id, { seen }]) => [id, seen])),
    ...{ refusals, deadLetters, lives, lateResults },
    settled: Object.fromEntries(
      ended
        .filter(([id]) => !deadLetters.includes(id as string))
        .map(([id, outcome]) => [
          id,
          outcome?.startsWith('TROUPE_ERR') ? 'failed, stored error' : 'replied, stored reply',
        ]),
    ),
    ...{ log, stored: log.slice(1), twin: twin?.log },
    requests:
      at === 'calling' ? [`worker at ${shape.backends[ask?.backend ?? 0]}: ${requestOf(model).join(' | ')}`] : [],
    running,
    deciding: at === 'approving' ? 2 - (ask?.decided.length ?? 0) : 0,
    timers: open + running + (at === 'calling' || at === 'backing-off' || at === 'approving' ? 1 : 0),
  };
}

const places: Readonly<Record<Model['at'], string>> = {
  idle: 'idle',
  calling: '{"awaiting":"calling"}',
  'backing-off': '{"awaiting":"backing-off"}',
  failing: '{"awaiting":"failing"}',
  approving: '{"tool-loop":"approving"}',
  tools: '{"tool-loop":"running"}',
  compressing: 'compressing',
  dead: 'dead',
};

/** Makes one event happen to both and compares; gives the model after it. */
export async function step(real: RealAgent, model: Model, event: ModelEvent): Promise<Model> {
  await real.apply(event, model);
  const next = nextModel(model, event);
  const seen = real.observe();
  const wanted = expected(next);
  // The cheap comparison first: there are tens of thousands.
  if (!isDeepStrictEqual(seen, wanted)) expect(seen).toEqual(wanted);
  return next;
}

/**
 * Walks a path on a new agent and adds every transition that held to `met`; those that are there already are only made, not
 * compared. What fails names the path.
 */
export async function walk(shape: Shape, path: readonly ModelEvent[], met: Set<string>): Promise<void> {
  const real = await realAgent(shape);
  let model = startModel(shape);
  for (const [index, event] of path.entries()) {
    try {
      const transition = transitionName(modelKey(model), event);
      if (met.has(transition)) {
        await real.apply(event, model);
        model = nextModel(model, event);
      } else model = await step(real, model, event);
      met.add(transition);
    } catch (error) {
      if (error instanceof Error) error.message = `After ${path.slice(0, index + 1).join(', ')}: ${error.message}`;
      throw error;
    }
  }
  expect(await real.finish()).toEqual(nothingLeft);
}
