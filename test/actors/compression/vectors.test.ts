/** Compression by relevance with vectors of a real server: what is told of the same thing in other words is found. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { llamaCpp } from '../../../actors/backends/presets.ts';
import { planCompression } from '../../../actors/compression/plan.ts';
import { semantic } from '../../../actors/compression/semantic.ts';
import type { CompressionInput } from '../../../actors/compression/strategy.ts';
import type { Group } from '../../../src/core/conversation.ts';
import { type FaultServer, faultServer } from '../../../src/testing/fault-server.ts';
import { inputOf, openAiAnswer } from '../../helpers/embedding-wire.ts';
import { planInput, talk, turn } from './conversations.ts';

/** What the server's model knows: words of one meaning, one list for each direction of its vectors. */
const meanings = [
  ['roses', 'flowers', 'garden'],
  ['database', 'port', 'listens'],
];

const vectorOf = (text: string) => [
  0.1,
  ...meanings.map((words) => words.filter((word) => text.includes(word)).length),
];

let server: FaultServer;

beforeAll(async () => {
  server = await faultServer({
    ok: ({ request, reply }) => reply(200, openAiAnswer(inputOf(request).map(vectorOf))),
    down: ({ reply }) => reply(503, { error: { message: 'Loading model' } }),
  });
});
afterAll(() => server.close());

const groups = [
  turn('How often do I water the roses?', `Each morning. ${'a word '.repeat(20)}`),
  ...talk(70),
  turn('Where is the database?', `It listens on 5432. ${'a word '.repeat(20)}`),
  ...talk(10),
];
const prompt: Group = [{ role: 'user', content: 'What did you say of my flowers?' }];
const strategy = semantic({ topK: 1, keepMessages: 4 });

function embedAt(endpoint: string) {
  const backend = llamaCpp({ endpoint, embeddingModel: 'm' });
  const embed: CompressionInput['embed'] = async (texts) => {
    const response = await backend.embed?.({ texts, signal: new AbortController().signal });
    return response?.vectors ?? [];
  };
  return { backend, embed };
}

test('a turn about the same thing in other words stays, and no text is sent twice', async () => {
  const { backend, embed } = embedAt(server.url);
  const input = planInput({ groups, targetTokens: 800, prompt, embed });
  const before = server.requests.length;
  const sent = () => server.requests.slice(before).flatMap(inputOf);
  expect((await planCompression(strategy, input)).kept).toEqual([0, 80, 81]);
  expect(sent().length).toBe(1 + 80);
  const port: Group = [{ role: 'user', content: 'Tell me the port again.' }];
  expect((await planCompression(strategy, { ...input, prompt: port })).kept).toEqual([71, 80, 81]);
  expect(sent().slice(1 + 80)).toEqual(['Tell me the port again.']);
  await backend.close?.();
});

test('words are compared while the server has none, and the reason is told', async () => {
  const { backend, embed } = embedAt(`${server.url}/fault:down`);
  const plan = await planCompression(strategy, planInput({ groups, targetTokens: 800, prompt, embed }));
  expect(plan.kept).not.toContain(0);
  expect(plan.problem).toMatchObject({ code: 'TROUPE_ERR_BACKEND_UNAVAILABLE', backend: 'llamaCpp', status: 503 });
  await backend.close?.();
});
