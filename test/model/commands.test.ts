/**
 * Random walks: whatever may happen, in any order, on agents of any bounds. A failure is shrunk and prints its seed.
 * `MODEL_RUNS` and `MODEL_SEED` in the environment search more, or elsewhere.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isEnabled, type Model, startModel } from './agent-model.ts';
import { step } from './compare.ts';
import { nothingLeft, type RealAgent, realAgent } from './real-agent.ts';
import type { ModelEvent, Shape } from './shape.ts';
import { allEvents } from './shapes.ts';

const runs = Number(process.env['MODEL_RUNS'] ?? 300);
const seed = Number(process.env['MODEL_SEED'] ?? 20_251_107);

/** How often an event is drawn; 4 when it is not listed. What ends a walk is rare. */
const weights: Partial<Record<ModelEvent, number>> = {
  ask: 10,
  stream: 6,
  text: 6,
  tools: 8,
  'guarded-tools': 6,
  deny: 2,
  undecided: 1,
  rest: 8,
  kill: 0.1,
  crash: 3,
  stop: 1,
  'ask-aborted': 1,
  'ask-again': 1,
};

/** fast-check changes its model in place. */
interface Walk {
  model: Model;
}

let steps = 0;

class Happening implements fc.AsyncCommand<Walk, RealAgent> {
  readonly #event: ModelEvent;

  constructor(event: ModelEvent) {
    this.#event = event;
  }

  check({ model }: Readonly<Walk>): boolean {
    return isEnabled(model, this.#event);
  }

  async run(walk: Walk, real: RealAgent): Promise<void> {
    walk.model = await step(real, walk.model, this.#event);
    steps += 1;
  }

  toString(): string {
    return this.#event;
  }
}

const events = fc.oneof(
  ...allEvents.map((event) => ({
    weight: (weights[event] ?? 4) * 10,
    arbitrary: fc.constant(event).map((name) => new Happening(name)),
  })),
);

const bounds = fc.record({
  mailboxLimit: fc.integer({ min: 0, max: 3 }),
  policy: fc.constantFrom('reject' as const, 'drop-oldest' as const, 'wait' as const),
  ...{ maxRetries: fc.integer({ min: 0, max: 2 }), maxSteps: fc.integer({ min: 1, max: 4 }) },
  backends: fc.constantFrom(['first'], ['first', 'second'], ['first', 'second', 'third']),
  ...{ stateless: fc.boolean(), onUndecided: fc.constantFrom('deny' as const, 'fail' as const) },
  ...{ sticky: fc.boolean(), replay: fc.constantFrom(false, true, 'continue' as const) },
  comesBack: fc.constantFrom('always' as const, 'always' as const, 'once' as const, 'never' as const),
});

test(`${runs} random walks hold the model`, async () => {
  const walks = fc.asyncProperty(
    bounds,
    fc.commands([events], { size: 'max', maxCommands: 80 }),
    async (limits, commands) => {
      const shape: Shape = { ...limits, events: allEvents };
      let real: RealAgent | undefined;
      await fc.asyncModelRun(async () => {
        real = await realAgent(shape);
        return { model: { model: startModel(shape) }, real };
      }, commands);
      expect(await real?.finish()).toEqual(nothingLeft);
    },
  );
  await fc.assert(walks, { numRuns: runs, seed });
  process.stdout.write(`random walks: ${runs} runs, ${steps} events that could happen, seed ${seed}\n`);
}, 600_000);
