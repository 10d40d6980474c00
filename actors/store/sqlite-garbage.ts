/** Freeing the logs of removed agents, as far as no fork reads them. */
import type { Connection } from './sqlite-connection.ts';

/** Groups that are freed at once: about 10 ms. */
const groupsAtOnce = 1_000;

/** Frees some. Returns whether there may be more. Belongs into a transaction. */
export function collectGarbage(connection: Connection): boolean {
  const [garbage] = connection.rows([findGarbage]);
  if (garbage === undefined) return false;
  const [log, needed] = [Number(garbage[0]), Number(garbage[1])];
  connection.run([freeGroups, log, needed, groupsAtOnce]);
  const [rest] = connection.rows(['select 1 from groups where log = ? and number >= ? limit 1', log, needed]);
  if (rest !== undefined) return true;
  connection.run([keepNeeded, log]);
  connection.run([lookAtParent, log]);
  connection.run(['delete from logs where id in (select log from dead_logs where log = ? and is_needed = 0)', log]);
  connection.run(['delete from dead_logs where log = ? and is_needed = 0', log]);
  return true;
}

/** A dead log that was not looked at since it died or a fork of it was freed, and how many groups forks share of it. */
const findGarbage = `
  select log, cast(coalesce((select max(shared) from logs fork where fork.parent = dead_logs.log), 0) as integer)
  from dead_logs where is_needed = 0 limit 1`;

const freeGroups = `
  delete from groups where rowid in (select rowid from groups where log = ? and number >= ? limit ?)`;

const keepNeeded = `
  update dead_logs set is_needed = 1 where log = ?1 and exists (select 1 from logs where parent = ?1)`;

const lookAtParent = `
  update dead_logs set is_needed = 0 where log = (select parent from logs where id = ?1)
    and exists (select 1 from dead_logs where log = ?1 and is_needed = 0)`;
