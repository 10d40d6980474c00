/** Looking for model servers, on servers of the test's own. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { chatModel, probeServers } from '../../actors/discover.ts';
import type { BackendKind } from '../../src/core/catalog.ts';

const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.close().closeAllConnections();
});

async function place(backend: BackendKind, answer: string | undefined, status = 200) {
  const server = createServer((_request, response) => {
    if (answer !== undefined) response.writeHead(status).end(answer);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { backend, port: (server.address() as AddressInfo).port };
}

test('each place tells what it is', async () => {
  const models = (...ids: string[]) => JSON.stringify({ object: 'list', data: ids.map((id) => ({ id })) });
  const places = [
    await place('ollama', models('nomic-embed-text', 'llama3:latest')),
    await place('llamaCpp', JSON.stringify({ data: [{ id: 'big', owned_by: 'vllm' }] })),
    await place('lmStudio', '{"object":"list","data":null}'),
    await place('vllm', '<html>Welcome</html>'),
    await place('localAi', '{"error":"no"}', 404),
  ];
  const probes = await probeServers({ places, timeoutMs: 30_000 });
  expect(probes.map(({ backend, models: ids, problem }) => [backend, ids, problem])).toEqual([
    ['ollama', ['nomic-embed-text', 'llama3:latest'], undefined],
    ['vllm', ['big'], undefined],
    ['lmStudio', [], 'it has no model yet'],
    ['vllm', [], 'what listens there is no model server (HTTP 200)'],
    ['localAi', [], 'what listens there is no model server (HTTP 404)'],
  ]);
  expect(probes.map(chatModel)).toEqual(['llama3:latest', 'big', undefined, undefined, undefined]);
});

test('a server that does not answer', async () => {
  const [probe] = await probeServers({ places: [await place('ollama', undefined)], timeoutMs: 200 });
  expect(probe?.problem).toBe('it does not answer');
});

test('a port that nobody listens on', async () => {
  const { port } = await place('ollama', '{}');
  await new Promise((resolve) => servers.pop()?.close(resolve));
  expect(await probeServers({ places: [{ backend: 'ollama', port }] })).toEqual([
    { backend: 'ollama', endpoint: `http://127.0.0.1:${port}`, models: [], problem: 'nothing listens there' },
  ]);
});
