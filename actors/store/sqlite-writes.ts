/**
 * Every write of a store as the statements that do it, in the order they are run in.
 * A write for an agent that is not there does nothing.
 */
import type { Group } from '../../src/core/conversation.ts';
import type { AssistantMessage } from '../../src/core/types.ts';
import type { BoundStatement } from './sqlite-connection.ts';
import type { AskOutcome, LedgerEntry, StoredAgent, StoredAsk, StoredCall, StoredView } from './store.ts';

export type Write = readonly BoundStatement[];

export function putAgent(agent: StoredAgent): Write {
  const { name, parent } = agent;
  const begin: BoundStatement =
    parent === undefined
      ? ['insert into logs (parent, shared) values (null, 0)']
      : [forkLog, key(parent.name), parent.groupCount];
  return [
    begin,
    ...removeAgent(name),
    ['insert into agents (log, name, agent) values ((select max(id) from logs), ?, ?)', key(name), text(agent)],
  ];
}

export function removeAgent(name: string): Write {
  const agent = key(name);
  return [
    [`delete from asks where log = ${logOfAgent}`, agent],
    [`delete from views where log = ${logOfAgent}`, agent],
    ['insert into dead_logs (log) select log from agents where name = ?', agent],
    ['delete from agents where name = ?', agent],
  ];
}

export interface GroupWrite {
  readonly agent: string;
  readonly group: Group;
  readonly askId: string | undefined;
  /** Groups that were lost before this one: their numbers stay free. */
  readonly lost: number;
}

export function appendGroup({ agent, group, askId, lost }: GroupWrite): Write {
  const append: BoundStatement = [insertGroup, lost, text(group), key(agent)];
  const count: Write = askId === undefined ? [] : [[countGroup, key(agent), key(askId)]];
  return group.length === 0 ? count : [append, ...count];
}

export function putView(agent: string, view: StoredView): Write {
  return [
    ['insert or replace into views (log, view) select log, ? from agents where name = ?', text(view), key(agent)],
  ];
}

export function putAsk(ask: StoredAsk): Write {
  return [
    [
      'insert or replace into asks (log, ask_id, ask) select log, ?, ? from agents where name = ?',
      key(ask.askId),
      text(ask),
      key(ask.agent),
    ],
  ];
}

export interface SettleWrite {
  readonly agent: string;
  readonly askId: string;
  readonly outcome: AskOutcome;
  readonly keepSettled: number;
}

export function settleAsk({ agent, askId, outcome, keepSettled }: SettleWrite): Write {
  return [
    [settle, text(outcome), key(agent), key(askId)],
    [forgetSettled, key(agent), keepSettled],
  ];
}

export function putStep(agent: string, askId: string, message: AssistantMessage): Write {
  return [[beginStep, text(message), key(agent), key(askId)]];
}

export function startTool(agent: string, askId: string, callId: string): Write {
  return [[addStarted, key(callId), key(agent), key(askId)]];
}

export function beginCall(call: StoredCall): Write {
  const sql = 'insert or replace into calls (agent, ask_id, call) values (?, ?, ?)';
  return [[sql, key(call.agent), key(call.askId), text(call)]];
}

export function addUsage(entry: LedgerEntry): Write {
  const { agent, askId, calls, costUsd, usage } = entry;
  const day = new Date(entry.at).toISOString().slice(0, 10);
  const end: Write =
    askId === undefined ? [] : [['delete from calls where agent = ? and ask_id = ?', key(agent), key(askId)]];
  return [
    ...end,
    [
      addToLedger,
      key(agent),
      key(entry.backend),
      key(entry.model),
      day,
      calls,
      costUsd === undefined ? calls : 0,
      costUsd ?? null,
      usage.inputTokens ?? null,
      usage.outputTokens ?? null,
      usage.cacheReadTokens ?? null,
      usage.cacheWriteTokens ?? null,
    ],
  ];
}

/** A name or an id as the tables have it. */
export function key(name: string): string {
  return JSON.stringify(name);
}

/** Data as the tables have it. Throws when it is none. */
function text(data: object): string {
  return JSON.stringify(data);
}

const logOfAgent = '(select log from agents where name = ?)';

/** How many groups the conversation of log `l` has. */
const groupCountOfLog =
  'coalesce((select number + 1 from groups where log = l.id order by number desc limit 1), l.shared)';

const forkLog = `
  insert into logs (parent, shared)
  select max(a.log), coalesce(min(?2, ${groupCountOfLog}), 0)
  from agents a join logs l on l.id = a.log where a.name = ?1`;

const insertGroup = `
  insert into groups (log, number, messages)
  select l.id, ${groupCountOfLog} + ?, ? from agents a join logs l on l.id = a.log where a.name = ?`;

const countGroup = `
  update asks set groups = groups + 1, step = null, started = null where log = ${logOfAgent} and ask_id = ? and outcome is null`;

const beginStep = `
  update asks set step = ?, started = '[]' where log = ${logOfAgent} and ask_id = ? and outcome is null`;

const addStarted = `
  update asks set started = json_insert(started, '$[#]', json(?))
  where log = ${logOfAgent} and ask_id = ? and step is not null`;

const settle = `
  update asks set outcome = ?1, step = null, started = null, settled = 1 + coalesce(
    (select settled from asks where log = (select log from agents where name = ?2) order by settled desc limit 1), 0)
  where log = (select log from agents where name = ?2) and ask_id = ?3 and outcome is null`;

const forgetSettled = `
  delete from asks where log = (select log from agents where name = ?1) and settled <= (
    select settled from asks where log = (select log from agents where name = ?1) and settled is not null
    order by settled desc limit 1 offset ?2)`;

/** Unknown plus a number is that number, and unknown plus unknown stays unknown. */
const added = (column: string) =>
  `${column} = case when excluded.${column} is null then ${column} else coalesce(${column}, 0) + excluded.${column} end`;

const addToLedger = `
  insert into ledger (
    agent, backend, model, day, calls, unpriced, cost_usd,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
  ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (agent, backend, model, day) do update set
    calls = calls + excluded.calls, unpriced = unpriced + excluded.unpriced,
    ${['cost_usd', 'input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_write_tokens'].map(added).join(', ')}`;
