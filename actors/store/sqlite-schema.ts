/**
 * The tables of a store, and how a file with older ones becomes one with these.
 *
 * T1  A log belongs to one agent and outlives it while a fork reads it: `parent` and `shared` name the first groups
 *     of another log that are its own first ones. `number` counts from the beginning of the conversation.
 * T2  Names, ids and contents are JSON; other columns are ours.
 */

/** What a file's `application_id` is when it is a store of ours: "trpe". */
export const applicationId = 0x74727065;

export interface Schema {
  /** What a file's `user_version` is. */
  readonly version: number;
  /** SQL that makes the tables. */
  readonly create: string;
  /** SQL that makes a file of version n one of version n + 1, by n. */
  readonly migrations: ReadonlyMap<number, string>;
}

export const currentSchema: Schema = {
  version: 1,
  create: `
    create table logs (id integer primary key, parent integer, shared integer not null);
    create index logs_by_parent on logs (parent) where parent is not null;
    create table dead_logs (log integer primary key, is_needed integer not null default 0);
    create index dead_logs_to_free on dead_logs (log) where is_needed = 0;
    create table groups (log integer not null, number integer not null, messages text not null, unique (log, number));
    create table agents (log integer primary key, name text not null unique, agent text not null);
    create table views (log integer primary key, view text not null);
    create table asks (
      id integer primary key, log integer not null, ask_id text not null, ask text not null,
      groups integer not null default 0, step text, started text, outcome text, settled integer,
      unique (log, ask_id)
    );
    create index asks_by_settled on asks (log, settled);
    create table calls (
      id integer primary key, agent text not null, ask_id text not null, call text not null,
      unique (agent, ask_id)
    );
    create table ledger (
      id integer primary key, agent text not null, backend text not null, model text not null, day text not null,
      calls integer not null, unpriced integer not null, cost_usd real,
      input_tokens integer, output_tokens integer, cache_read_tokens integer, cache_write_tokens integer,
      unique (agent, backend, model, day)
    );`,
  migrations: new Map(),
};
