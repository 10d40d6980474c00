/**
 * Survival: two backends of the chain fail nine times out of ten, one is healthy, wherever in the chain it stands. Every ask
 * that has time enough is answered in time. A stream of which something was read is repeated or gone on with (`replay`),
 * since without that an answer that broke off is an error by contract.
 */
import { drawAsk, makeAsk, Tally, untilDone } from './asking.mjs';
import { generator, pick } from './random.mjs';
import { backendsFor, startServers } from './servers.mjs';

const ways = { stream: 0.4, tool: 0, tight: 0, cancel: 0, replays: [true, 'continue'], generousMs: 60_000 };
const kinds = ['openai', 'anthropic', 'ollama'];

/** What all backends are limited to, by the name of the run. */
const limitsOf = {
  'default breaker': {},
  'default breaker, `maxConcurrent` 4': { maxConcurrent: 4 },
  'breaker that opens at once, for a second': { allowedFailures: 0, coolDownMs: 1000 },
};

/** Runs each kind of limits with each protocol as the healthy one, all at once; gives a row for each. */
export function survival(module, { seed, agents, asks, rate }) {
  const rows = Object.entries(limitsOf).flatMap(([name, limits]) =>
    kinds.map(async (healthy) => ({ name, ...(await run(module, { seed, agents, asks, rate, limits, healthy })) })),
  );
  return Promise.all(rows);
}

async function run(module, { seed, agents: agentCount, asks, rate, limits, healthy }) {
  const random = generator(seed);
  const servers = await startServers({
    seed,
    rates: Object.fromEntries(kinds.map((kind) => [kind, kind === healthy ? 0 : rate])),
  });
  const troupe = module.createTroupe({
    backends: backendsFor(module, servers.endpoints),
    limits: Object.fromEntries(kinds.map((kind) => [kind, limits])),
    random: generator(seed + 1),
  });
  const tally = new Tally();
  const agents = [];
  for (let number = 0; number < agentCount; number += 1) {
    const [backend, ...fallback] = [0, 1, 2].map((at) => kinds[(number + at) % kinds.length]);
    agents.push(
      await troupe.spawn(`agent-${number}`, { backend, fallback, timeouts: { firstEventMs: 1500, idleMs: 1500 } }),
    );
  }
  const callAgain = async () => {
    while (tally.sent < asks) {
      const drawn = drawAsk(random, tally.sent + 1, ways);
      await makeAsk(tally, pick(agents, random()), module.isTroupeError, drawn);
    }
  };
  const startedAt = performance.now();
  const lost = await untilDone(tally, agents.map(callAgain));
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  const { fallbacks } = troupe.health();
  await troupe.close();
  const served = await servers.close();
  const { generous, attempts, mostAttempts, sent, errors, notes } = tally;
  const wrong = notes.length + served.invalid.length + lost;
  return {
    healthy,
    answered: generous.replied,
    of: generous.sent,
    seconds,
    fallbacks,
    wrong,
    errors,
    notes,
    attemptsPerAsk: { mean: Math.round((attempts / sent) * 100) / 100, max: mostAttempts },
  };
}

/** What is wrong with the rows; empty when every ask was answered in time, and rightly. */
export function faultsOfSurvival(rows) {
  return rows.flatMap(({ name, healthy, answered, of, wrong, fallbacks }) => {
    const what = `${name}, ${healthy} healthy`;
    return [
      ...(answered === of && of > 0 ? [] : [`${what}: ${answered} of ${of} asks answered in time`]),
      ...(wrong === 0 ? [] : [`${what}: ${wrong} wrong`]),
      ...(fallbacks > 0 ? [] : [`${what}: nobody fell back`]),
    ];
  });
}
