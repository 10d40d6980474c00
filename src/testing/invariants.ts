/**
 * What must hold of any run of agents, whatever they do: checked over the log of a simulation.
 * Names of the invariants are those of DESIGN.md.
 */
import { reasonOf } from '../core/errors.ts';
import type { Message } from '../core/types.ts';
import { assertValidMessages } from './messages.ts';
import { type ConversationEntry, type LogEntry, parseLog } from './simulation-log.ts';

/**
 * Says what is broken, one text each; empty when all holds.
 *
 * I1 every ask ends exactly once. I2 nothing is answered by an agent after its death. I3 asks are begun in the order in which
 * they were accepted. I4, I5 every conversation begins with its system message, and in it every call has one result and every
 * result its call; every tool that began has ended. I6 in a conversation nothing of another agent follows what is its own.
 * I8 nothing of an ask begins once it has ended.
 */
export function agentInvariants(log: string | readonly LogEntry[]): string[] {
  const entries = typeof log === 'string' ? parseLog(log) : log;
  const book = new Book();
  for (const entry of entries) book.enter(entry);
  return [...book.problems, ...book.left(), ...conversationProblems(entries)];
}

interface AskState {
  readonly agent: string;
  readonly order: number;
  readonly tools: Set<string>;
  begun: boolean;
  isSettled: boolean;
}

/** Goes through a log once. */
class Book {
  readonly problems: string[] = [];
  readonly #asks = new Map<string, AskState>();
  readonly #dead = new Set<string>();
  /** Of each agent: the order of the last ask that was begun. */
  readonly #begun = new Map<string, number>();

  enter(entry: LogEntry): void {
    const { agent } = entry;
    if (entry.kind === 'dead') this.#dead.add(agent);
    if (entry.kind === 'spawned') this.#dead.delete(agent);
    if (entry.kind === 'ask' && entry.phase === 'accepted') this.#accept(entry.askId, agent);
    if (entry.kind === 'ask' && entry.phase === 'settled') this.#settle(entry.askId, entry.outcome, agent);
    if (entry.kind === 'call' && entry.phase === 'begin') this.#begin(entry.askId, agent);
    if (entry.kind === 'tool') this.#tool(entry.askId, entry.callId, entry.phase);
  }

  /** What should have ended and has not. */
  left(): string[] {
    return [...this.#asks].flatMap(([askId, { agent, isSettled }]) =>
      isSettled ? [] : [`I1: ask "${askId}" of "${agent}" has not ended`],
    );
  }

  #accept(askId: string, agent: string): void {
    if (this.#asks.has(askId)) this.problems.push(`I1: ask "${askId}" of "${agent}" was accepted twice`);
    const order = this.#asks.size;
    this.#asks.set(askId, { agent, order, tools: new Set(), begun: false, isSettled: false });
  }

  #settle(askId: string, outcome: string, agent: string): void {
    const ask = this.#asks.get(askId);
    if (ask === undefined) return void this.problems.push(`I1: ask "${askId}" of "${agent}" ended, never accepted`);
    if (ask.isSettled) this.problems.push(`I1: ask "${askId}" of "${agent}" ended twice`);
    if (outcome === 'replied' && this.#dead.has(agent))
      this.problems.push(`I2: ask "${askId}" was answered after the death of "${agent}"`);
    if (outcome === 'replied' && ask.tools.size > 0)
      this.problems.push(`I5: ask "${askId}" was answered without the result of "${[...ask.tools].join('", "')}"`);
    ask.isSettled = true;
  }

  #begin(askId: string, agent: string): void {
    const ask = this.#asks.get(askId);
    if (ask === undefined) return;
    if (ask.isSettled) this.problems.push(`I8: a model was called for ask "${askId}" of "${agent}", which had ended`);
    if (ask.begun) return;
    ask.begun = true;
    const last = this.#begun.get(agent) ?? -1;
    if (ask.order < last)
      this.problems.push(`I3: ask "${askId}" of "${agent}" was begun after one that was accepted later`);
    this.#begun.set(agent, Math.max(last, ask.order));
  }

  #tool(askId: string, callId: string, phase: 'begin' | 'end'): void {
    const ask = this.#asks.get(askId);
    if (ask === undefined) return;
    const isOpen = ask.tools.has(callId);
    if (phase === 'begin') {
      if (isOpen) this.problems.push(`I5: call "${callId}" of ask "${askId}" began twice`);
      if (ask.isSettled) this.problems.push(`I8: call "${callId}" began when ask "${askId}" had ended`);
      ask.tools.add(callId);
    } else if (!ask.tools.delete(callId))
      this.problems.push(`I5: call "${callId}" of ask "${askId}" ended, never begun`);
  }
}

function conversationProblems(entries: readonly LogEntry[]): string[] {
  const conversations = entries.filter((entry) => entry.kind === 'conversation');
  const prompts = new Map<string, string[]>();
  for (const entry of entries) {
    if (entry.kind !== 'ask' || entry.phase !== 'accepted' || entry.prompt === undefined) continue;
    const asked = prompts.get(entry.agent) ?? [];
    asked.push(entry.prompt);
    prompts.set(entry.agent, asked);
  }
  return conversations.flatMap((entry) => [
    ...messageProblems(entry),
    ...foreignProblems(entry, prompts.get(entry.agent) ?? [], conversations),
  ]);
}

function messageProblems({ agent, messages }: ConversationEntry): string[] {
  try {
    assertValidMessages(messages);
    return [];
  } catch (thrown) {
    return [`I4, I5: the conversation of "${agent}": ${reasonOf(thrown)}`];
  }
}

/** Its own are the last prompts, as far as they are what it was asked, in that order; with what is before them it was born. */
function foreignProblems(
  { agent, messages }: ConversationEntry,
  asked: readonly string[],
  all: readonly ConversationEntry[],
): string[] {
  const said = promptsOf(messages);
  let ask = asked.length - 1;
  let own = said.length;
  for (; own > 0; own -= 1) {
    while (ask >= 0 && !isSame(asked[ask], said[own - 1])) ask -= 1;
    if (ask < 0) break;
    ask -= 1;
  }
  const inherited = said.slice(0, own);
  const isMixed = inherited.some((prompt) => asked.some((one) => isSame(one, prompt)));
  if (!isMixed || all.some((other) => other.agent !== agent && begins(other, inherited))) return [];
  const last = (inherited.at(-1) ?? '').slice(0, 80);
  return [`I6: the conversation of "${agent}" has "${last}" where it was not asked that`];
}

function begins({ messages }: ConversationEntry, prompts: readonly string[]): boolean {
  const said = promptsOf(messages);
  return prompts.every((prompt, index) => said[index] === prompt);
}

function promptsOf(messages: readonly Message[]): string[] {
  return messages.filter(({ role }) => role === 'user').map(({ content }) => content);
}

/** A log has no more of a prompt than its first 64 Ki characters. */
function isSame(logged: string | undefined, said: string | undefined): boolean {
  if (logged === said) return true;
  return logged?.length === 65_536 && said?.startsWith(logged.slice(0, -1)) === true;
}
