/**
 * Who may talk to the inspector's server. A page of another site in the same browser must not, though it can send requests:
 * its Origin gives it away, and its Host when a name was pointed at this machine.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export interface GuardOptions {
  /** Names and addresses under which the server is reached, without a port. */
  readonly hosts: readonly string[];
  readonly port: number;
  readonly token: string;
}

/** Why a request is refused; undefined when it may come in. */
export function refusal(request: IncomingMessage, url: URL | undefined, options: GuardOptions): string | undefined {
  const { hosts, port, token } = options;
  const allowed = hosts.flatMap((host) => (port === 80 ? [host, `${host}:80`] : [`${host}:${port}`]));
  const { host, origin, authorization } = request.headers;
  if (host === undefined || !allowed.includes(host.toLowerCase())) return 'The Host header names another server.';
  if (origin !== undefined && !allowed.some((name) => origin === `http://${name}`))
    return 'The Origin header names another site.';
  if (url === undefined) return 'The URL is none.';
  const given = url.searchParams.get('token') ?? /^Bearer (?<token>\S+)$/.exec(authorization ?? '')?.groups?.['token'];
  return given !== undefined && isSame(given, token) ? undefined : 'The token is missing or wrong.';
}

/** Compares in a time that says nothing of where two texts differ. */
function isSame(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
