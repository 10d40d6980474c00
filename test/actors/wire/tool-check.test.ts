import { afterAll, beforeAll, expect, it } from 'vitest';
import { HttpClient } from '../../../actors/wire/http.ts';
import { askFacts, ollamaNativeFacts } from '../../../actors/wire/model-facts.ts';
import { redactor } from '../../../actors/wire/redact.ts';
import { ToolCheck } from '../../../actors/wire/tool-check.ts';
import { type FaultServer, faultServer } from '../../../src/testing/fault-server.ts';
import { failure, modelRequest } from '../../helpers/model-request.ts';

const tools = [{ name: 't', description: 'T', parameters: { type: 'object' } }];

let server: FaultServer;
let client: HttpClient;
beforeAll(async () => {
  server = await faultServer({
    able: ({ reply }) => reply(200, { capabilities: ['completion', 'tools'] }),
    silent: ({ reply }) => reply(200, {}),
    'no-route': ({ reply }) => reply(404, '404 page not found'),
    unable: ({ reply }) => reply(200, { capabilities: ['completion'] }),
    'unable-then-able': ({ reply, times }) => reply(200, { capabilities: times === 1 ? [] : ['tools'] }),
    broken: ({ reply }) => reply(500, { error: 'no' }),
    hangs: () => {},
  });
  client = new HttpClient({ redact: redactor([]) });
});
afterAll(async () => {
  await client.close();
  await server.close();
});

function check(): ToolCheck {
  const questions = ollamaNativeFacts(8192);
  const about = { backend: 'ollama', client, headers: {}, base: server.url };
  return new ToolCheck('ollama', (model, signal) => askFacts(about, { questions, model, signal }));
}

/** How many requests this took. */
async function requests(work: () => Promise<unknown>): Promise<number> {
  const before = server.counts.requests;
  await work();
  return server.counts.requests - before;
}

const request = (fault: string, given = {}) => modelRequest({ model: `fault:${fault}`, tools, ...given });

it.each(['able', 'silent', 'no-route'])('asks once for each model, however many ask: %s', async (fault) => {
  const checked = check();
  const pass = () => checked.pass(request(fault));
  expect(await requests(() => Promise.all([pass(), pass(), pass()]))).toBe(1);
  expect(await requests(pass)).toBe(0);
  const other = fault === 'able' ? 'silent' : 'able';
  expect(await requests(() => checked.pass(request(other)))).toBe(1);
});

it('asks nothing for a request without tools', async () => {
  expect(await requests(() => check().pass(request('unable', { tools: [] })))).toBe(0);
});

it('refuses a model that cannot, with models that can', async () => {
  const error = await failure(check().pass(request('unable')));
  expect(error).toMatchObject({
    code: 'TROUPE_ERR_MODEL_TOOLS_UNSUPPORTED',
    class: 'invalid',
    retryable: false,
    backend: 'ollama',
    model: 'fault:unable',
  });
  expect(error.message).toBe(
    'ollama: the model "fault:unable" cannot call tools, and the agent has some. Name another `model`, such as "llama3.1", "llama3.2", "qwen2.5", or leave out `tools`.',
  );
});

it('asks again after a no, since the model behind a name can be exchanged', async () => {
  const checked = check();
  await failure(checked.pass(request('unable-then-able')));
  await checked.pass(request('unable-then-able'));
  expect(await requests(() => checked.pass(request('unable-then-able')))).toBe(0);
});

it('lets pass what the server cannot be asked about, and asks again', async () => {
  const checked = check();
  expect(await requests(() => checked.pass(request('broken')))).toBe(1);
  expect(await requests(() => checked.pass(request('broken')))).toBe(1);
});

it('ends the question when all who had it have left; the call itself then sees that it was cancelled', async () => {
  const checked = check();
  const before = { ...server.counts };
  const [first, second] = [new AbortController(), new AbortController()];
  const one = checked.pass(request('hangs', { signal: first.signal }));
  const two = checked.pass(request('hangs', { signal: second.signal }));
  await server.when(({ requests: count }) => count > before.requests);
  first.abort();
  await one;
  expect([server.counts.requests, server.counts.aborted]).toEqual([before.requests + 1, before.aborted]);
  second.abort();
  await two;
  await server.when(({ aborted }) => aborted > before.aborted);
});
