/**
 * One ask of the soak: made in one of the ways there are, given up now and then, and looked at to the letter when it ends.
 * What it came to goes into a `Tally`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { answerOf, faultOfText, promptOf } from './answers.mjs';
import { pick } from './random.mjs';

/** An ask that has not ended so long after its deadline is lost. */
const lostAfterMs = 10_000;
/** The most calls that one step may take: three backends, each asked three times. */
const callsAStep = 9;

/** Numbers, the last 100,000 of them, off the heap, which is measured. */
class Readings {
  #numbers = new Float64Array(100_000);
  #count = 0;

  add(number) {
    this.#numbers[this.#count % this.#numbers.length] = number;
    this.#count += 1;
  }

  get values() {
    return this.#numbers.subarray(0, Math.min(this.#count, this.#numbers.length));
  }
}

/** What the asks of a soak came to. */
export class Tally {
  sent = 0;
  replied = 0;
  failed = 0;
  /** Answers with text of another ask, with text twice, cut without a word, or otherwise not the answer. */
  crossWired = 0;
  doubled = 0;
  truncated = 0;
  altered = 0;
  /** Failures that are no `TroupeError`, or that name another agent or ask. */
  untyped = 0;
  /** Failures that are the runtime's own. */
  crashed = 0;
  /** Asks with more calls than chain and retries allow. */
  overCalled = 0;
  cancels = 0;
  streams = 0;
  withTools = 0;
  attempts = 0;
  mostAttempts = 0;
  errors = {};
  /** Of asks with a generous deadline that nobody gave up. */
  generous = { sent: 0, replied: 0 };
  /** Milliseconds by which asks ended after their deadline: those that it ended, and replies that it was too late to stop. */
  overruns = new Readings();
  /** How late a bare timer was that was set with each such ask: what the machine, and not troupe, takes. */
  timers = new Readings();
  /** Replies that came after the deadline. */
  lateReplies = 0;
  /** What is wrong, in words; the first ones. */
  notes = [];
  pending = new Map();

  note(kind, text) {
    this[kind] += 1;
    if (this.notes.length < 20) this.notes.push(`${kind}: ${text}`);
  }
}

/**
 * The options of an ask, drawn. `ways`: how likely it is streamed, tight, given up, with a tool; which `replay`s there are; how
 * long it may take when it is not tight.
 */
export function drawAsk(random, number, ways) {
  const withTool = random() < ways.tool;
  const tight = random() < ways.tight;
  const givenUp = random() < ways.cancel;
  const way = random() < ways.stream ? 'stream' : pick(['ask', 'askAsync'], random());
  return {
    askId: `a${number}`,
    pieces: 1 + Math.floor(random() * 12),
    withTool,
    way,
    timeoutMs: tight ? 10 + Math.floor(random() * 700) : ways.generousMs,
    isTight: tight,
    isGenerous: !tight && !givenUp,
    cancelAfterMs: givenUp ? Math.floor(random() * 300) : undefined,
    replay: pick(ways.replays, random()),
  };
}

/** Makes this ask and resolves when it has ended. */
export async function makeAsk(tally, agent, isTroupeError, drawn) {
  const ask = { ...drawn, agent: agent.name };
  tally.sent += 1;
  if (ask.withTool) tally.withTools += 1;
  if (ask.isGenerous) tally.generous.sent += 1;
  const startedAt = performance.now();
  tally.pending.set(ask.askId, { lostAt: startedAt + ask.timeoutMs + lostAfterMs });
  const overrunMs = () => performance.now() - startedAt - ask.timeoutMs;
  const abort = new AbortController();
  const bare = ask.isTight ? setTimeout(() => tally.timers.add(overrunMs()), ask.timeoutMs) : undefined;
  const giveUp = ask.cancelAfterMs === undefined ? undefined : setTimeout(() => cancel(), ask.cancelAfterMs);
  const cancel = () => {
    tally.cancels += 1;
    abort.abort();
  };
  try {
    const reply = await waysToAsk[ask.way](tally, agent, ask, abort.signal);
    lookAtReply(tally, ask, reply, overrunMs());
  } catch (error) {
    lookAtError(tally, ask, error, { overrunMs: overrunMs(), isTroupeError });
  } finally {
    clearTimeout(giveUp);
    if (ask.isTight && overrunMs() < 0) clearTimeout(bare);
    tally.pending.delete(ask.askId);
  }
}

const waysToAsk = {
  ask: (_tally, agent, ask, signal) => agent.ask(promptOf(ask), { ...optionsOf(ask), signal }),
  askAsync: (_tally, agent, ask, signal) => {
    const handle = agent.askAsync(promptOf(ask), optionsOf(ask));
    signal.addEventListener('abort', () => handle.cancel());
    return handle.wait();
  },
  /** Leaves the loop when it is given up; what it has read must be the reply's text. */
  stream: async (tally, agent, ask, signal) => {
    tally.streams += 1;
    const stream = agent.stream(promptOf(ask), optionsOf(ask));
    let text = '';
    let last = '';
    for await (const event of stream) {
      if (signal.aborted) break;
      if (event.type === 'text-delta') text += event.text;
      else if (event.type === 'restarted') text = text.slice(0, text.length - event.discardChars);
      else if (event.type === 'step-end') [last, text] = [text, ''];
    }
    const reply = await stream.reply;
    if (last !== reply.text) tally.note('altered', `stream "${last}" of the reply "${reply.text}"`);
    return reply;
  },
};

function optionsOf({ askId, timeoutMs, replay }) {
  return { askId, timeoutMs, replay };
}

function lookAtReply(tally, ask, reply, overrunMs) {
  tally.replied += 1;
  if (ask.isGenerous && overrunMs <= 0) tally.generous.replied += 1;
  if (overrunMs > 0) {
    tally.lateReplies += 1;
    tally.overruns.add(overrunMs);
  }
  if (reply.askId !== ask.askId || reply.agent !== ask.agent)
    tally.note('crossWired', `${reply.agent} ${reply.askId} for ${ask.agent} ${ask.askId}`);
  const fault = faultOfText(ask, reply.text);
  if (fault !== undefined && !(fault === 'truncated' && reply.finishReason.unified === 'length'))
    tally.note(fault, `"${reply.text}" for ${ask.agent} ${ask.askId}`);
  countAttempts(tally, ask, reply.attempts);
}

function lookAtError(tally, ask, error, { overrunMs, isTroupeError }) {
  tally.failed += 1;
  if (!isTroupeError(error)) return tally.note('untyped', String(error?.stack ?? error));
  tally.errors[error.code] = (tally.errors[error.code] ?? 0) + 1;
  if (error.askId !== ask.askId || error.agent !== ask.agent)
    tally.note('untyped', `${error.code} of ${error.agent} ${error.askId} for ${ask.agent} ${ask.askId}`);
  if (error.class === 'crashed') tally.note('crashed', String(error.stack));
  const { partialText = '' } = error;
  if (!answerOf(ask).startsWith(partialText))
    tally.note(faultOfText(ask, partialText) ?? 'altered', `partial "${partialText}" for ${ask.agent} ${ask.askId}`);
  if (error.code === 'TROUPE_ERR_ASK_TIMEOUT') {
    tally.overruns.add(overrunMs);
  }
  countAttempts(tally, ask, error.attempts);
}

function countAttempts(tally, { askId, withTool }, { length }) {
  tally.attempts += length;
  tally.mostAttempts = Math.max(tally.mostAttempts, length);
  if (length > callsAStep * (withTool ? 2 : 1)) tally.note('overCalled', `${length} calls for ${askId}`);
}

/** Waits for these callers, but not for asks that are lost: gives how many are. */
export async function untilDone({ pending }, callers) {
  let isDone = false;
  const done = Promise.all(callers).finally(() => {
    isDone = true;
  });
  const lost = () => [...pending.values()].filter(({ lostAt }) => performance.now() > lostAt).length;
  while (!isDone && lost() === 0) await Promise.race([done, sleep(100)]);
  return lost();
}
