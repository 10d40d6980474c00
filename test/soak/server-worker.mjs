/**
 * Three model servers on loopback, in a thread of their own so that they take no part in the figures of the process's heap and
 * event loop. A request fails with the probability of its server; how, depends on the seed, the ask, its step and which try it
 * is, and not on when it comes.
 */
import { createServer } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import { answerPieces, askIn } from './answers.mjs';
import { protocols } from './protocols.mjs';
import { drawsFor, pick } from './random.mjs';
import { answer, serverFaults } from './server-faults.mjs';

const { seed, rates } = workerData;
const names = Object.keys(serverFaults);
const tries = new Map();
const counts = { requests: 0, faults: {}, invalid: [] };
const goOn = 'Your answer broke off here.';

const servers = await Promise.all(Object.keys(rates).map(start));
const endpoints = Object.fromEntries(servers.map(({ name, server }) => [name, urlOf(server)]));
parentPort.postMessage({ endpoints });
parentPort.on('message', async (wanted) => {
  if (wanted !== 'close') return;
  await Promise.all(servers.map(({ server }) => shut(server)));
  parentPort.postMessage({ counts });
  parentPort.close();
});

async function start(name) {
  const server = createServer({ keepAliveTimeout: 60_000 }, (incoming, response) => serve(name, incoming, response));
  server.on('connection', (socket) => socket.on('error', () => {}));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { name, server };
}

async function serve(name, incoming, response) {
  const protocol = protocols[name];
  const pieces = [];
  try {
    for await (const piece of incoming) pieces.push(piece);
  } catch {
    return;
  }
  const text = Buffer.concat(pieces).toString();
  if (incoming.url === '/api/show') return response.end(JSON.stringify({ capabilities: ['completion', 'tools'] }));
  counts.requests += 1;
  const refuse = (problem) => {
    counts.invalid.push(`${name}: ${problem}`);
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end(JSON.stringify(protocol.error(problem, 'invalid_request_error')));
  };
  if (incoming.url !== protocol.path) return refuse(`a request to ${incoming.url}`);
  const body = JSON.parse(text);
  const asked = reading(protocol.messages(body));
  if (asked.problem !== undefined) return refuse(asked.problem);
  const { wire, parts } = partsOf(protocol, body.stream === true, asked);
  const exchange = { response, socket: incoming.socket, parts, type: wire, ...protocol };
  const fault = faultOf(name, asked);
  counts.faults[fault ?? 'none'] = (counts.faults[fault ?? 'none'] ?? 0) + 1;
  await (fault === undefined ? answer(exchange) : serverFaults[fault](exchange));
}

/** What fails in this request; undefined: nothing. */
function faultOf(name, { ask, seen, kept }) {
  const place = `${name} ${ask.askId} ${seen === undefined ? 1 : 2} ${kept.length}`;
  const nth = (tries.get(place) ?? 0) + 1;
  tries.set(place, nth);
  const [whether, which] = drawsFor(seed, `${place} ${nth}`);
  return whether < rates[name] ? pick(names, which) : undefined;
}

/** The ask that a request is about, the tool's result and what is kept of an answer; or what is wrong with the request. */
function reading(messages) {
  const spoken = messages.filter(({ role }) => role !== 'system');
  const last = spoken.findLastIndex(({ role, text }) => role === 'user' && !text.startsWith(goOn));
  const ask = askIn(spoken[last]?.text ?? '');
  if (ask === undefined) return { problem: `no prompt of the soak: ${spoken[last]?.text}` };
  const problem = problemOf(spoken);
  if (problem !== undefined) return { problem: `${problem} (${ask.askId})` };
  const after = spoken.slice(last + 1);
  const kept = spoken.at(-1)?.text.startsWith(goOn) ? (after.at(-2)?.text ?? '') : '';
  return { ask, seen: after.find(({ role }) => role === 'tool')?.text, kept, problem: undefined };
}

/** Every prompt stands once, users and models take turns, and every call has its one result right behind it. */
function problemOf(messages) {
  const asked = messages.flatMap(({ role, text }) => (role === 'user' ? (askIn(text)?.askId ?? []) : []));
  if (new Set(asked).size < asked.length) return 'a prompt stands twice in a conversation';
  for (const [at, { role, calls }] of messages.entries()) {
    const next = messages[at + 1];
    if (role === next?.role) return `two messages of "${role}" in a row`;
    if (calls.join() !== (next?.role === 'tool' ? next.answers.join() : '')) return 'calls and results do not match';
  }
  return undefined;
}

function partsOf(protocol, asStream, { ask, seen, kept }) {
  const call = ask.withTool && seen === undefined ? { id: `call_${ask.askId}`, name: 'look' } : undefined;
  const type = asStream ? protocol.streamType : 'application/json';
  const said = call ? [] : rest(answerPieces(ask, seen), kept.length);
  const parts = asStream ? protocol.stream(said, call) : protocol.whole(said.join(''), call);
  return { wire: type, parts };
}

/** The pieces from this character on. */
function rest(pieces, from) {
  let left = from;
  return pieces.flatMap((piece) => {
    const cut = Math.min(left, piece.length);
    left -= cut;
    return cut < piece.length ? [piece.slice(cut)] : [];
  });
}

function urlOf(server) {
  return `http://127.0.0.1:${server.address().port}`;
}

function shut(server) {
  return new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
}
