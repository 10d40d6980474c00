/** What a troupe writes into a log: what was tried, what failed, who is down. Never a prompt, an answer or a key. */
import { callSafely } from './guards.ts';
import type { Events } from './troupe-events.ts';

/** The part of a logger that is used: fields first, then a sentence. `pino`'s loggers are that. */
export interface Logger {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Writes the troupe's events into a log. What the logger throws is dropped. */
export function logTo(logger: Logger, events: Events): void {
  const warn = (fields: object, message: string) => callSafely(() => logger.warn(fields, message));
  const error = (fields: object, message: string) => callSafely(() => logger.error(fields, message));
  events.on('call-failed', ({ retryInMs, ...facts }) => {
    const next = retryInMs === undefined ? 'it is not tried again there' : `tried again in ${retryInMs} ms`;
    warn({ ...facts, retryInMs }, `"${facts.backend}" failed "${facts.agent}": ${facts.error.message}; ${next}.`);
  });
  events.on('fallback', (facts) =>
    warn(facts, `"${facts.agent}" goes on at "${facts.to}" instead of "${facts.from}".`),
  );
  events.on('agent-down', (facts) => {
    const what = facts.comesBack ? 'is down and comes back' : 'is down';
    if (facts.why !== 'killed') warn(facts, `Agent "${facts.agent}" ${what} (${facts.why}).`);
  });
  events.on('dead-letter', ({ agent, askId, error: { summary } }) =>
    warn({ agent, askId, error: summary }, `An ask to "${agent}" could not be delivered: ${summary.message}`),
  );
  events.on('warning', (facts) => warn(facts, facts.message));
  events.on('mcp-failed', ({ server, error: { summary } }) => warn({ server, error: summary }, summary.message));
  events.on('resume-failed', ({ agent, error: { summary } }) =>
    error({ agent, error: summary }, `Agent "${agent}" could not be brought back: ${summary.message}`),
  );
  events.on('store-failed', ({ summary }) => error({ error: summary }, summary.message));
}
