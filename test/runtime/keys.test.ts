/** A backend without the key that it needs fails at once, and says which variable is missing. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type BackendKind, type BackendRow, backendCatalog } from '../../src/core/catalog.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { allOf, failure } from '../helpers/model-request.ts';

const rows = Object.entries(backendCatalog) as readonly (readonly [BackendKind, BackendRow])[];
const needing = rows.filter(([, { requiresKey }]) => requiresKey);
const free = rows.filter(
  ([kind, { requiresKey }]) => !requiresKey && !['claude', 'scripted', 'subprocess'].includes(kind),
);
const variables = rows.flatMap(([, row]) => Object.values(row.variables));

afterEach(() => vi.unstubAllEnvs());

function withoutVariables(): void {
  for (const name of variables) vi.stubEnv(name, '');
}

describe.each(needing)('%s', (kind, { variables: { apiKey = '', endpoint = '' } }) => {
  it.each(['first', 'in a chain'])(
    'without a key is refused at spawn, by the name of its variable: %s',
    async (where) => {
      withoutVariables();
      const troupe = createTroupe();
      const spec = where === 'first' ? { backend: kind } : { backend: 'offline', fallback: [kind] };
      const error = await failure(troupe.spawn('a', spec));
      expect(error).toMatchObject({ code: 'TROUPE_ERR_BACKEND_KEY_MISSING', class: 'auth', backend: kind });
      expect(error.message).toContain(apiKey);
      expect(troupe.agents()).toEqual([]);
      await troupe.close();
    },
  );

  it('takes its own key and no other, and shows it nowhere', async () => {
    withoutVariables();
    for (const name of variables) if (name.endsWith('KEY') && name !== apiKey) vi.stubEnv(name, 'canary-other');
    const troupe = createTroupe();
    const error = await failure(troupe.spawn('a', { backend: kind }));
    expect([error.code, allOf(error).includes('canary')]).toEqual(['TROUPE_ERR_BACKEND_KEY_MISSING', false]);
    vi.stubEnv(apiKey, 'canary-own');
    await troupe.spawn('a', { backend: kind });
    expect(JSON.stringify(troupe.agents())).not.toContain('canary');
    await troupe.close();
  });

  it('needs none at a server of your own', async () => {
    withoutVariables();
    vi.stubEnv(endpoint, 'http://127.0.0.1:9');
    const troupe = createTroupe();
    expect((await troupe.spawn('a', { backend: kind })).name).toBe('a');
    await troupe.close();
  });
});

it.each(free)('%s needs no key', async (kind) => {
  withoutVariables();
  const troupe = createTroupe();
  expect((await troupe.spawn('a', { backend: kind })).name).toBe('a');
  await troupe.close();
});
