/**
 * day-process.mjs <folder of the built package> <folder> <endpoint>: a process that goes about the day and writes what it
 * says as lines of JSON. With CRASH_AT it ends itself by SIGKILL: <number>, before the first write of that turn of the event
 * loop in which the store is written; <number>:after, when that barrier is passed. What is written within one turn is
 * committed together or not at all. At its end it says how many there were of each.
 */
import { modulesOf, runDay } from './day.mjs';

const [, , dist, folder, endpoint] = process.argv;
const [number, after] = (process.env.CRASH_AT ?? '0').split(':');
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const isWrite = /^(put|remove|append|settle|start|begin|add|barrier)/;
const counts = { turns: 0, barriers: 0 };
let isCounted = false;

function countTurn() {
  if (isCounted) return;
  isCounted = true;
  setImmediate(() => {
    isCounted = false;
  });
  counts.turns += 1;
  if (after === undefined && counts.turns === Number(number)) die();
}

function die() {
  process.kill(process.pid, 'SIGKILL');
}

async function counted(barrier) {
  counts.barriers += 1;
  const isLast = after !== undefined && counts.barriers === Number(number);
  await barrier;
  if (isLast) die();
}

const wrap = (store) =>
  new Proxy(store, {
    get(target, name) {
      const value = target[name];
      if (typeof value !== 'function' || !isWrite.test(name)) return value;
      return (...args) => {
        countTurn();
        const result = value.apply(target, args);
        return name === 'barrier' ? counted(result) : result;
      };
    },
  });

await runDay(await modulesOf(dist), { folder, endpoint, wrap, say });
say({ type: 'counts', ...counts });
