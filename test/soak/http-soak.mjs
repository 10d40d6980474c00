/**
 * The soak over HTTP: three model servers on loopback that fail at random, on the real clock. First the walk, then survival with
 * one healthy backend. Runs on the built package: `node --expose-gc test/soak/http-soak.mjs [--seconds 80] [--agents 50]
 * [--rate 0.3] [--seed 1] [--dist ../../dist]`. Exits with 1 when something was lost, doubled, mixed up, cut or leaked.
 */
import { parseArgs } from 'node:util';
import { faultsOfSurvival, survival } from './survival.mjs';
import { faultsOfWalk, walk } from './walk.mjs';

const text = (value) => ({ type: 'string', default: value });
const { values } = parseArgs({
  options: {
    ...{ seconds: text('80'), agents: text('50'), rate: text('0.3'), seed: text('1'), dist: text('../../dist') },
    survival: text('400'),
  },
});
const { dist, ...numbers } = values;
const {
  seconds,
  agents,
  rate,
  seed,
  survival: asks,
} = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, Number(value)]));
const { gc } = globalThis;
const module = await import(new URL(`${dist}/src/index.js`, import.meta.url).href);
const print = (value) =>
  process.stdout.write(`${typeof value === 'string' ? value : JSON.stringify(value, null, 2)}\n`);

print(`seed ${seed}, Node ${process.version}`);
const figures = await walk(module, { seed, agents, seconds, asks: Number.POSITIVE_INFINITY, rounds: 10, rate, gc });
print(figures);
const rows = await survival(module, { seed, agents, asks, rate: 0.9 });
for (const row of rows) print(JSON.stringify(row));
const measures = { measuresTime: true, measuresHeap: gc !== undefined };
const faults = [...faultsOfWalk(figures, measures), ...faultsOfSurvival(rows)];
for (const fault of faults) print(`FAULT: ${fault}`);
process.exitCode = faults.length === 0 ? 0 : 1;
