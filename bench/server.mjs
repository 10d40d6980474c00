/**
 * A model server without a model: answers at once, from buffers made beforehand, in a process of its own.
 * The model's name says what it answers:
 *
 * `ask`       a short answer in 5 pieces, as an event stream
 * `ask-json`  the same as one JSON object
 * `chat`      200 characters in 5 pieces
 * `window`    the same, with as many tokens of the prompt as a quarter of the request's bytes
 * `tools-N`   one tool call, until the conversation has N results; then the short answer
 * `stream-N`  N pieces
 *
 * Started by `startServer`. It ends with the process that started it, however that one ends.
 */
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

const texts = { ask: 'All is well here today.', chat: 'x'.repeat(200), window: 'All is well. '.repeat(15) };

/** The text that a model of this name answers with. */
export function answerOf(model) {
  if (model.startsWith('stream-')) return 'token '.repeat(Number(model.slice('stream-'.length)));
  return texts[model] ?? texts.ask;
}

/**
 * Starts the server. `count()` = requests so far.
 * @returns {Promise<{ url: string, count(): Promise<number>, stop(): Promise<void> }>}
 */
export async function startServer() {
  const child = fork(fileURLToPath(import.meta.url), ['--serve'], { execArgv: [], stdio: 'inherit' });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const ended = exited.then(() => Promise.reject(new Error('The server ended.')));
  ended.catch(() => {});
  const next = () => Promise.race([new Promise((resolve) => child.once('message', resolve)), ended]);
  const { port } = await next();
  return {
    url: `http://127.0.0.1:${port}`,
    count: async () => {
      const told = next();
      child.send('count');
      return (await told).count;
    },
    stop: async () => {
      child.disconnect();
      await exited;
    },
  };
}

const usage = { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25 };

function chunk(model, choices, extra = {}) {
  const body = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_700_000_000, model, choices, ...extra };
  return Buffer.from(`data: ${JSON.stringify(body)}\n\n`);
}

function delta(model, content, finish = null) {
  return chunk(model, [{ index: 0, delta: content, logprobs: null, finish_reason: finish }]);
}

function ending(model, finish) {
  return [delta(model, {}, finish), chunk(model, [], { usage }), Buffer.from('data: [DONE]\n\n')];
}

/** The same events with the size of this request in them. */
function withUsage(model, events, body) {
  const counted = { ...usage, prompt_tokens: Math.ceil(body.length / 4) };
  return [...events.slice(0, -2), chunk(model, [], { usage: counted }), ...events.slice(-1)];
}

function textEvents(model, pieces) {
  const content = pieces.map((piece) => delta(model, { content: piece }));
  return [delta(model, { role: 'assistant', content: '' }), ...content, ...ending(model, 'stop')];
}

function toolEvents(model, number) {
  const id = `call_${number}`;
  const open = { index: 0, id, type: 'function', function: { name: 'add', arguments: '' } };
  const rest = { index: 0, function: { arguments: `{"a":${number},"b":1}` } };
  return [
    delta(model, { role: 'assistant', content: null, tool_calls: [open] }),
    delta(model, { tool_calls: [rest] }),
    ...ending(model, 'tool_calls'),
  ];
}

function split(text, count) {
  const size = Math.ceil(text.length / count);
  return Array.from({ length: count }, (_, index) => text.slice(index * size, (index + 1) * size));
}

/** Events by what is to be answered, made once. */
const made = new Map();

function eventsFor(model, body) {
  const results = model.startsWith('tools-') ? occurrences(body, '"tool_call_id"') : 0;
  const key = `${model} ${results}`;
  let events = made.get(key);
  if (events === undefined) {
    events = makeEvents(model, results);
    made.set(key, events);
  }
  return events;
}

function makeEvents(model, results) {
  const [kind, count] = model.split('-');
  if (kind === 'stream') return textEvents(model, Array(Number(count)).fill('token '));
  if (kind === 'tools' && results < Number(count)) return toolEvents(model, results);
  return textEvents(model, split(answerOf(model), 5));
}

function occurrences(body, text) {
  let count = 0;
  for (let at = body.indexOf(text); at !== -1; at = body.indexOf(text, at + 1)) count += 1;
  return count;
}

function modelOf(body) {
  const start = body.indexOf('"model":"') + '"model":"'.length;
  return body.toString('latin1', start, body.indexOf('"', start));
}

const wholeMessage = { role: 'assistant', content: texts.ask };
const wholeAnswer = { model: 'ask-json', choices: [{ index: 0, message: wholeMessage, finish_reason: 'stop' }], usage };
const wholeJson = Buffer.from(JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion', ...wholeAnswer }));

function answer(response, body) {
  const model = modelOf(body);
  if (model === 'ask-json') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': wholeJson.length });
    response.end(wholeJson);
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  // One HTTP chunk for each event, as model servers send them; they share packets.
  const events = eventsFor(model, body);
  for (const event of model === 'window' ? withUsage(model, events, body) : events) response.write(event);
  response.end();
}

function serve() {
  let count = 0;
  const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      count += 1;
      answer(response, pieces.length === 1 ? pieces[0] : Buffer.concat(pieces));
    });
  });
  process.on('message', () => process.send?.({ count }));
  process.on('disconnect', () => process.exit(0));
  server.listen(0, '127.0.0.1', () => process.send?.({ port: server.address().port }));
}

if (process.argv[2] === '--serve') serve();
