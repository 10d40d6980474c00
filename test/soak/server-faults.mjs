/**
 * What a model server does wrong in the soak: the faults of the catalogue after which it may be well again soon. Those that
 * shut a backend for ten minutes or more (no quota left, a Retry-After of a day) are left out: nothing would be left to soak.
 *
 * A fault is given one exchange: `parts` is the right answer, `response` and `socket` are to give it with, or not.
 */
import { setTimeout as sleep } from 'node:timers/promises';

const html = '<!doctype html><html><body><h1>Welcome to nginx!</h1></body></html>';
const json = { 'content-type': 'application/json' };

/** Sends these parts and leaves the answer open. False when the client has left. */
async function send({ response, type }, parts, pauseMs = 0) {
  response.writeHead(200, { 'content-type': type });
  response.flushHeaders();
  for (const part of parts) {
    if (pauseMs > 0) await sleep(pauseMs);
    if (response.destroyed) return false;
    response.write(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return true;
}

/** Answers as it should be. */
export async function answer(exchange, pauseMs = 0) {
  if (await send(exchange, exchange.parts, pauseMs)) exchange.response.end();
}

const half = ({ parts }) => parts.slice(0, Math.ceil(parts.length / 2));
const status =
  (code, type, headers = {}) =>
  ({ response, error }) =>
    response.writeHead(code, { ...json, ...headers }).end(JSON.stringify(error(`It is ${code}`, type)));
const page =
  (code, body, headers = {}) =>
  ({ response }) =>
    response.writeHead(code, { 'content-type': 'text/html', ...headers }).end(body);

/** By the names of the catalogue. */
export const serverFaults = {
  '429-ms': status(429, 'rate_limit_error', { 'retry-after-ms': '150' }),
  '429-none': status(429, 'rate_limit_error'),
  500: page(500, html),
  502: page(502, html),
  503: status(503, 'unavailable_error'),
  529: status(529, 'overloaded_error'),
  403: status(403, 'permission_error'),
  'redirect-307': page(307, '', { location: '/elsewhere' }),
  'reset-before-headers': ({ socket }) => socket.resetAndDestroy(),
  'fin-before-headers': ({ socket }) => socket.end(),
  'reset-mid-stream': async (exchange) => {
    await send(exchange, half(exchange));
    exchange.socket.resetAndDestroy();
  },
  'fin-mid-stream': async (exchange) => {
    await send(exchange, half(exchange));
    exchange.socket.end();
  },
  'no-stop': async (exchange) => {
    await send(exchange, half(exchange));
    exchange.response.end();
  },
  'half-event': async (exchange) => {
    await send(exchange, [...half(exchange), exchange.parts.at(-1).slice(0, 20)]);
    exchange.response.end();
  },
  'html-200': page(200, html),
  'empty-200': ({ response }) => response.writeHead(200, json).end(),
  'null-200': ({ response }) => response.writeHead(200, json).end('null'),
  '200-error': ({ response, error }) =>
    response.writeHead(200, json).end(JSON.stringify(error('It broke', 'api_error'))),
  'event-error': async (exchange) => {
    const broken = exchange.errorEvent(exchange.error('It broke in mid-answer', 'api_error'));
    await send(exchange, [...half(exchange), broken]);
    exchange.response.end();
  },
  'garbage-event': async (exchange) => {
    await send(exchange, [...half(exchange), exchange.garbage, ...exchange.parts.slice(-1)]);
    exchange.response.end();
  },
  'hang-headers': () => {},
  'hang-body': (exchange) => send(exchange, half(exchange)),
  'drip-forever': async (exchange) => {
    if (!(await send(exchange, half(exchange)))) return;
    while (!exchange.response.destroyed) {
      exchange.response.write(exchange.keepAlive);
      await sleep(50);
    }
  },
  slow: (exchange) => answer(exchange, 20),
  'chunk-7': (exchange) => answer({ ...exchange, parts: bitsOf(exchange.parts.join('')) }),
};

/** Seven bytes each: characters are cut, too. */
function bitsOf(text) {
  const bytes = Buffer.from(text);
  return Array.from({ length: Math.ceil(bytes.length / 7) }, (_, at) => bytes.subarray(at * 7, at * 7 + 7));
}
