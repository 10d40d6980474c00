/** `troupe agents`: the agents that a store keeps. */
import { type KeptFacts, keptFacts } from './kept-facts.ts';
import { type StoreFlags, withStore } from './kept-store.ts';
import { jsonText, oneLine, table } from './terminal.ts';

export interface AgentsFlags extends StoreFlags {
  readonly json?: true;
}

/** Prints them, oldest first; the exit code is 0. */
export async function agentsCommand(flags: AgentsFlags): Promise<number> {
  const facts = await withStore(flags, keptFacts);
  if (flags.json) process.stdout.write(`${jsonText(facts, 2)}\n`);
  else process.stdout.write(facts.length === 0 ? 'No agent is kept.\n' : `${factsTable(facts)}\n`);
  return 0;
}

/** Agents in columns. `?` is what is not known. */
export function factsTable(facts: readonly KeptFacts[]): string {
  const header = ['agent', 'backend', 'messages', 'open asks', 'last used', 'tokens in', 'tokens out', 'USD'];
  return table([header, ...facts.map(cells)], [2, 3, 5, 6, 7]);
}

function cells({ name, backend, model, messages, openAsks, usedAt, usage, costUsd }: KeptFacts): string[] {
  return [
    ...[oneLine(name), oneLine(model === undefined ? backend : `${backend}/${model}`)],
    ...[String(messages), String(openAsks), new Date(usedAt).toISOString().slice(0, 16).replace('T', ' ')],
    ...[String(usage.inputTokens ?? '?'), String(usage.outputTokens ?? '?'), costUsd?.toFixed(4) ?? '?'],
  ];
}
