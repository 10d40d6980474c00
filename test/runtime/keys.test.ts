/** Keys: a backend without the one that it needs fails at once, and the one that it has is seen nowhere. */
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { type BackendKind, type BackendRow, backendCatalog } from '../../src/core/catalog.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { type Channel, type KeyedKind, keyedKinds, keyVariables, sightingsOf } from '../faults/canary.ts';
import { allOf, failure } from '../helpers/model-request.ts';

const rows = Object.entries(backendCatalog) as readonly (readonly [BackendKind, BackendRow])[];
const needing = rows.filter(([, { requiresKey }]) => requiresKey);
const free = rows.filter(
  ([kind, { requiresKey }]) => !requiresKey && !['claude', 'scripted', 'subprocess'].includes(kind),
);
/**
 * Every debug switch but one: `NODE_DEBUG=child_process` has Node itself print the whole environment of each child, which is
 * where a child's key has to be.
 */
const initials = [...'abdefghijklmnopqrstuvwxyz', 'cl', 'co', 'cr'];
const debug = { NODE_DEBUG: initials.map((initial) => `${initial}*`).join(','), DEBUG: '*' };
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

describe('a key that a backend was made with', () => {
  const sums: Record<string, Channel> = {};
  afterAll(() => {
    const lines = Object.entries(sums).map(
      ([name, { looks, sightings }]) => `  ${name}: ${sightings} sightings in ${looks}`,
    );
    process.stdout.write(
      `keys of ${Object.keys(keyedKinds).length} kinds of backend, by channel:\n${lines.join('\n')}\n`,
    );
  });

  it.each(Object.keys(keyedKinds) as KeyedKind[])(
    'is sent to its server, and seen nowhere: %s',
    async (kind) => {
      const { channels, sent, variables } = await sightingsOf(kind, debug);
      for (const [name, { looks, sightings }] of Object.entries(channels)) {
        const sum = sums[name] ?? { looks: 0, sightings: 0 };
        sums[name] = { looks: sum.looks + looks, sightings: sum.sightings + sightings };
      }
      const seen = Object.entries(channels).filter(([, { sightings }]) => sightings > 0);
      expect(seen).toEqual([]);
      expect(sent).toEqual([`canary-key-of-${kind}-0123456789`]);
      expect(variables).toEqual([keyVariables[kind] ?? []].flat());
    },
    60_000,
  );
});
