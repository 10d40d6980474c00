/** Cases of the contract: vectors of texts, at the backends that make them. */
import { expect } from 'vitest';
import type { EmbedResponse } from '../../actors/backend.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import { failure } from '../helpers/model-request.ts';
import type { Case } from './case.ts';
import { tokensOf, vectorOf } from './embedding-dialects.ts';
import type { Failure } from './model.ts';
import { onStage, type Stage } from './stage.ts';
import { vectorModel } from './worlds.ts';

const rows: readonly (readonly [Failure, ErrorCode])[] = [
  ['400', 'TROUPE_ERR_BACKEND_REQUEST_INVALID'],
  ['400-context', 'TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW'],
  ['401', 'TROUPE_ERR_BACKEND_AUTH'],
  ['404', 'TROUPE_ERR_BACKEND_MODEL_UNKNOWN'],
  ['429', 'TROUPE_ERR_BACKEND_OVERLOADED'],
  ['500', 'TROUPE_ERR_BACKEND_UNAVAILABLE'],
];

const failures: readonly Case[] = rows.map(([kind, code]) => ({
  name: `error ${kind} instead of vectors`,
  needs: ['vectors'],
  run: (world) =>
    onStage(world, {}, async (stage) => {
      const error = await failure(embed(stage, [`error ${kind}`]));
      expect(error).toMatchObject({ code, backend: stage.place.backend.kind, model: vectorModel });
      expect(stage.server.embedded).toHaveLength(1);
    }),
}));

export const embedCases: readonly Case[] = [
  {
    name: 'vectors of many texts stand in the order of the texts, and their usage sums up',
    needs: ['vectors'],
    run: (world) =>
      onStage(world, {}, async (stage) => {
        const texts = Array.from({ length: 200 }, (_, at) => `text ${at}`);
        const { vectors, usage, model } = await embed(stage, texts);
        expect(vectors).toEqual(texts.map(vectorOf));
        expect([usage.inputTokens, usage.outputTokens, model]).toEqual([tokensOf(texts), 0, vectorModel]);
        expect(stage.server.embedded.flatMap((request) => request.texts)).toEqual(texts);
      }),
  },
  {
    name: 'vectors and answers at once do not get in each other\u2019s way',
    needs: ['vectors'],
    run: (world) =>
      onStage(world, {}, async (stage) => {
        const agent = await stage.spawn('a');
        const [reply, { vectors }] = await Promise.all([agent.ask('say hello'), embed(stage, ['hello'])]);
        expect([reply.text, vectors]).toEqual(['hello', [vectorOf('hello')]]);
      }),
  },
  {
    name: 'a wish for vectors that is given up closes its socket',
    needs: ['vectors'],
    run: (world) =>
      onStage(world, {}, async (stage) => {
        const abort = new AbortController();
        const failed = failure(embed(stage, ['hang'], abort.signal));
        await stage.server.waiting(1);
        abort.abort();
        expect((await failed).code).toBe('TROUPE_ERR_ASK_CANCELLED');
        await stage.server.when(({ openSockets }) => openSockets === 0);
      }),
  },
  ...failures,
];

async function embed(
  { place }: Stage,
  texts: readonly string[],
  signal = new AbortController().signal,
): Promise<EmbedResponse> {
  return (await place.backend.embed?.({ texts, signal })) as EmbedResponse;
}
