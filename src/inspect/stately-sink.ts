/**
 * Stately Inspector as a place to look: a page on this machine with the hosted inspector in a frame, and a relay of our own.
 *
 * The relay gives a browser that comes late every machine and agent as they are then, so that it can draw them; it answers
 * nobody without the token. The hosted page is loaded from the internet and runs in its own origin: what it is shown, its
 * owner can see. That is as much as the inspection's content level lets through, by default no text.
 */
import { agentMachine } from '../../machines/agent.ts';
import { supervisorMachine } from '../../machines/supervisor.ts';
import { TroupeError } from '../core/errors.ts';
import { checkOptions, type Rule } from '../core/options.ts';
import { EventStreams } from './event-streams.ts';
import { guardedServer, type PlaceOptions, placeRules } from './guarded-server.ts';
import { statelyPage, statelyPolicy } from './page/stately-page.ts';
import { pathOf } from './reading.ts';
import type { Feed, Sink } from './sink.ts';
import { StatelyEvents } from './stately-events.ts';

/** Options of `statelySink`. */
export interface StatelySinkOptions extends PlaceOptions {
  /** The inspector's page. Default `https://stately.ai/inspect`. */
  readonly inspector?: string;
}

/** The sink, which wants messages while a browser looks. */
export interface StatelySink extends Sink {
  /** What to open in a browser, token included. */
  readonly url: string;
  readonly port: number;
  readonly token: string;
  close(): Promise<void>;
}

const limits = { ringLimit: 10_000, maxBufferedBytes: 4 * 1024 * 1024, lingerMs: 5_000 };

/** Starts the relay. Rejects with `TROUPE_ERR_OPTION_INVALID`, also when the port cannot be had. */
export async function statelySink(options: StatelySinkOptions = {}): Promise<StatelySink> {
  checkOptions('statelySink', options, statelyRules);
  const inspector = new URL(options.inspector ?? 'https://stately.ai/inspect');
  const events = new StatelyEvents([agentMachine, supervisorMachine]);
  let feed: Feed | undefined;
  const snapshot = () => {
    if (feed === undefined) throw new TroupeError('TROUPE_ERR_OPTION_INVALID', 'The sink has no inspection.');
    const now = feed.snapshot();
    const state = pathOf(feed.troupe.ref.getSnapshot().value);
    return { seq: now.seq, events: events.rosterOf(now, { machine: supervisorMachine.id, state }) };
  };
  const streams = new EventStreams(limits, { snapshot, want: (wanted) => feed?.want(wanted) });
  const server = await guardedServer('statelySink', options, (route, _request, response) => {
    if (route === 'GET /') {
      response.setHeader('content-security-policy', statelyPolicy(inspector));
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(statelyPage(inspector));
      return undefined;
    }
    if (route !== 'GET /events' || feed === undefined) return [404, 'There is nothing here.'];
    if (streams.count >= maxStreams) return [503, `There are ${maxStreams} streams already.`];
    // Whoever comes back begins anew: the inspector has no notion of what it missed.
    streams.add(response, undefined);
    return undefined;
  });
  let closed: Promise<void> | undefined;
  return {
    url: server.url,
    port: server.port,
    token: server.token,
    join(joined) {
      feed = joined;
    },
    write(message) {
      streams.write({ seq: message.seq, events: events.eventsOf(message) });
    },
    close() {
      closed ??= server.close(() => streams.close());
      return closed;
    },
  };
}

const maxStreams = 16;

const statelyRules: Readonly<Record<keyof StatelySinkOptions, Rule>> = {
  ...placeRules,
  inspector: (value) =>
    typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)
      ? undefined
      : 'an http or https URL',
};
