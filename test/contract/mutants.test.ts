/** The contract bites: each of these spoilt backends is caught by the case that is there for it. */
import { expect, it } from 'vitest';
import type { Backend, ModelRequest, ModelResponse } from '../../actors/backend.ts';
import { TroupeError } from '../../src/core/errors.ts';
import { contractCases } from './cases.ts';
import { type World, worlds } from './worlds.ts';

/** Makes a call of a spoilt backend from a call of a sound one. */
type Spoil = (call: Backend['call']) => Backend['call'];

const mutants: Readonly<Record<string, readonly [caughtBy: string, spoil: Spoil]>> = {
  'loses pieces of a stream': [
    'the pieces of a stream are the reply, and what is asked for without a stream is the same',
    (call) => (request) => call({ ...request, onEvent: everySecond(request.onEvent) }),
  ],
  'keeps parameters to itself': [
    'parameters reach the model',
    (call) => (request) => call({ ...request, parameters: {} }),
  ],
  'answers one agent with what another was told': ['twenty agents at once get their own answers', repeatFirst],
  'counts tokens twice': [
    'usage is what the server counted, and sums up',
    (call) => async (request) => doubled(await call(request)),
  ],
  'asks the server twice': [
    'ten steps of tools',
    (call) => async (request) => {
      await call({ ...request, onEvent: () => {} });
      return call(request);
    },
  ],
  'remembers an ask that was cancelled': [
    'an ask that is cancelled before a word leaves nothing behind',
    rememberCancelled,
  ],
  'takes every failure for a passing one': [
    'error 401',
    (call) => (request) =>
      call(request).catch((cause: unknown) => {
        throw new TroupeError('TROUPE_ERR_BACKEND_UNAVAILABLE', 'openai failed.', { cause });
      }),
  ],
  'asks for no tools': ['one tool', (call) => (request) => call({ ...request, tools: [] })],
  'drops one of two calls': [
    'two tools at once',
    (call) => async (request) => {
      const response = await call(request);
      return { ...response, toolCalls: response.toolCalls.slice(0, 1) };
    },
  ],
};

it.each(Object.entries(mutants))('a backend that %s', async (_, [caughtBy, spoil]) => {
  const sound = worlds[0]!;
  const spoilt: World = {
    ...sound,
    make: async (options) => {
      const place = await sound.make(options);
      const call = spoil((request) => place.backend.call(request));
      return { ...place, backend: { ...place.backend, call } };
    },
  };
  const caseIn = (world: World) => contractCases(world).find(({ name }) => name === caughtBy)!;
  await caseIn(sound).run();
  await expect(caseIn(spoilt).run()).rejects.toThrow();
});

function everySecond(onEvent: ModelRequest['onEvent']): ModelRequest['onEvent'] {
  let count = 0;
  return (event) => {
    count += 1;
    if (count % 2 === 1) onEvent(event);
  };
}

function repeatFirst(call: Backend['call']): Backend['call'] {
  let first: Promise<ModelResponse> | undefined;
  return (request) => {
    first ??= call(request);
    return first;
  };
}

function doubled(response: ModelResponse): ModelResponse {
  const { inputTokens = 0, outputTokens = 0 } = response.usage;
  return { ...response, usage: { ...response.usage, inputTokens: 2 * inputTokens, outputTokens: 2 * outputTokens } };
}

function rememberCancelled(call: Backend['call']): Backend['call'] {
  let cancelled: ModelRequest['prompt'] = [];
  return (request) => {
    const prompt = [...cancelled, ...request.prompt];
    request.signal.addEventListener('abort', () => {
      cancelled = [...request.prompt, { role: 'assistant', content: 'I was cut.' }];
    });
    return call({ ...request, prompt });
  };
}
