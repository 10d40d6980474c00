/**
 * What the tables hold, as data of the contract.
 * Every column is cast: the driver ends the whole process over a text that is no UTF-8, as a damaged file may hold
 * anywhere. Cast to a blob it is bytes.
 */
import type { Group } from '../../src/core/conversation.ts';
import type { Column, Connection } from './sqlite-connection.ts';
import { unreadable } from './sqlite-errors.ts';
import { key } from './sqlite-writes.ts';
import type { LedgerSum, StoredAgent, StoredAsk, StoredAskState, StoredCall, StoredView } from './store.ts';

export function agents(connection: Connection): readonly StoredAgent[] {
  return connection.rows([`select ${bytes('agent')} from agents order by log`]).map(([agent]) => parse(agent));
}

export function groups(connection: Connection, agent: string): readonly Group[] {
  return rowsOfLog(connection, agent, bytes('messages')).map(([messages]) => parse(messages));
}

export function view(connection: Connection, agent: string): StoredView | undefined {
  const sql = `select ${bytes('view')} from views where log = (select log from agents where name = ?)`;
  const [row] = connection.rows([sql, key(agent)]);
  return row === undefined ? undefined : renumbered(parse(row[0]), connection, agent);
}

export function asks(connection: Connection, agent: string): readonly StoredAskState[] {
  const sql = `
    select ${bytes('ask')}, ${integer('groups')}, ${bytes('outcome')}, ${bytes('step')}, ${bytes('started')}
    from asks where log = (select log from agents where name = ?)
    order by settled is null, settled, id`;
  return connection.rows([sql, key(agent)]).map(([ask, count, outcome, step, started]) => ({
    ...parse<StoredAsk>(ask),
    groups: Number(count),
    ...(step === null ? {} : { step: { message: parse(step), started: parse(started) } }),
    ...(outcome === null ? {} : { outcome: parse(outcome) }),
  }));
}

export function openCalls(connection: Connection): readonly StoredCall[] {
  return connection.rows([`select ${bytes('call')} from calls order by id`]).map(([call]) => parse(call));
}

export function ledger(connection: Connection): readonly LedgerSum[] {
  const sql = `
    select ${['agent', 'backend', 'model', 'day'].map(bytes)}, ${['calls', 'unpriced'].map(integer)},
      cast(cost_usd as real),
      ${['input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_write_tokens'].map(integer)}
    from ledger order by id`;
  return connection.rows([sql]).map(([agent, backend, model, day, calls, unpriced, costUsd, ...tokens]) => ({
    agent: parse(agent),
    backend: parse(backend),
    model: parse(model),
    day: decode(day),
    calls: Number(calls),
    unpriced: Number(unpriced),
    costUsd: known(costUsd),
    usage: {
      inputTokens: known(tokens[0]),
      outputTokens: known(tokens[1]),
      cacheReadTokens: known(tokens[2]),
      cacheWriteTokens: known(tokens[3]),
    },
  }));
}

/** A column of an agent's groups in order: from the log of its eldest ancestor down to its own. */
function rowsOfLog(connection: Connection, agent: string, column: string): readonly (readonly Column[])[] {
  const sql = `select ${column} from groups where log = ? and number < ? order by number`;
  return connection
    .rows([chainOfLogs, key(agent)])
    .flatMap(([log, until]) => connection.rows([sql, Number(log), Number(until)]));
}

/** The logs that a conversation is made of, and the number that each is read up to. */
const chainOfLogs = `
  with recursive chain (depth, log, parent, shared, until) as (
    select 0, l.id, l.parent, l.shared, 1e15 from logs l join agents a on a.log = l.id where a.name = ?
    union all
    select c.depth + 1, l.id, l.parent, l.shared, min(c.shared, c.until)
    from chain c join logs l on l.id = c.parent and l.id < c.log where c.shared > 0
  )
  select cast(log as integer), cast(until as integer) from chain order by depth desc`;

/** A view names groups by their numbers, which have holes where groups were lost; its reader counts what is there. */
function renumbered(view: StoredView, connection: Connection, agent: string): StoredView {
  const numbers = rowsOfLog(connection, agent, integer('number')).map(([number]) => Number(number));
  if (numbers.at(-1) === numbers.length - 1 || numbers.length === 0) return view;
  return {
    ...view,
    groupCount: numbers.filter((number) => number < view.groupCount).length,
    kept: view.kept.map((number) => numbers.indexOf(number)).filter((place) => place !== -1),
  };
}

function bytes(column: string): string {
  return `cast(${column} as blob)`;
}

function integer(column: string): string {
  return `cast(${column} as integer)`;
}

function parse<T>(data: Column | undefined): T {
  const text = decode(data);
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw unreadable(thrown);
  }
}

function decode(data: Column | undefined): string {
  try {
    return decoder.decode(ArrayBuffer.isView(data) ? data : undefined);
  } catch (thrown) {
    throw unreadable(thrown);
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function known(value: Column | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
