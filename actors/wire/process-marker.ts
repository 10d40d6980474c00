/**
 * The mark that every child process carries in its environment and hands on to whomever it starts, so that they are
 * found again wherever they went: with another parent, in a session of their own.
 * A troupe inside a child adds its mark to the one it was given: it is part of the outer tree as well.
 */
import { randomBytes } from 'node:crypto';

/** The environment variable that holds the marks, with commas between them. */
export const markerVariable = 'TROUPE_CHILD';

let token: string | undefined;
let count = 0;

/** What all marks of this process begin with: no other process has it. */
export function hostToken(): string {
  token ??= randomBytes(16).toString('hex');
  return token;
}

/** A mark for one more child. */
export function newMarker(): string {
  count += 1;
  return `${hostToken()}.${count}`;
}

/** The marks that this process carries itself. */
export function inheritedMarkers(): string[] {
  return listOf(process.env[markerVariable]);
}

/** The marks in the environment of a process, as the kernel keeps it: `name=value` with a NUL behind each. */
export function markersIn(environment: Buffer): string[] {
  const at = environment.indexOf(`\0${assignment}`);
  if (at === -1 && !environment.subarray(0, assignment.length).equals(Buffer.from(assignment))) return [];
  const start = at + 1 + assignment.length;
  const end = environment.indexOf(0, start);
  return listOf(environment.toString('latin1', start, end === -1 ? environment.length : end));
}

const assignment = `${markerVariable}=`;

function listOf(value: string | undefined): string[] {
  return value === undefined || value === '' ? [] : value.split(',');
}
