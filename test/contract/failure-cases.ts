/** Cases of the contract: what a server refuses is one typed error, and the next ask knows nothing of it. */
import { expect } from 'vitest';
import type { ErrorClass, ErrorCode } from '../../src/core/errors.ts';
import { failure } from '../helpers/model-request.ts';
import type { Case } from './case.ts';
import type { Failure } from './model.ts';
import { onStage, seenBy } from './stage.ts';

type Row = readonly [failure: Failure, code: ErrorCode, errorClass: ErrorClass, retryable: boolean, attempts: number];

const rows: readonly Row[] = [
  ['429', 'TROUPE_ERR_BACKEND_OVERLOADED', 'overloaded', true, 1],
  ['500', 'TROUPE_ERR_BACKEND_UNAVAILABLE', 'transient', true, 1],
  ['401', 'TROUPE_ERR_BACKEND_AUTH', 'auth', false, 1],
  // The conversation is compressed and tried once more.
  ['400-context', 'TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW', 'context-overflow', false, 2],
  ['400', 'TROUPE_ERR_BACKEND_REQUEST_INVALID', 'invalid', false, 1],
  ['404', 'TROUPE_ERR_BACKEND_MODEL_UNKNOWN', 'invalid', false, 1],
];

export const failureCases: readonly Case[] = rows.map(([kind, code, errorClass, retryable, attempts]) => ({
  name: `error ${kind}`,
  needs: ['model'],
  run: (world) =>
    onStage(world, {}, async ({ spawn, place, server }) => {
      const agent = await spawn('a');
      await agent.ask('say before');
      const error = await failure(agent.ask(`error ${kind}`));
      expect(error).toMatchObject({ code, class: errorClass, retryable, backend: 'world', agent: 'a' });
      expect(error.attempts).toHaveLength(attempts);
      expect(error.message).toContain(world.blames ?? place.backend.kind);
      if (world.repeats?.includes(kind)) expect(server.heard.length).toBeGreaterThan(1 + attempts);
      else expect(server.heard).toHaveLength(1 + attempts);
      expect((await seenBy(agent)).texts).toEqual([
        ['user', 'say before'],
        ['assistant', 'before'],
        ['user', 'count'],
      ]);
    }),
}));
