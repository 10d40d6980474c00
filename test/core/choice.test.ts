/** Which backend a task goes to: a table of cases, and what holds for any task and any backends. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Candidate, candidateOf, type Need } from '../../src/core/candidate.ts';
import { type BackendKind, backendCatalog } from '../../src/core/catalog.ts';
import { type ChoicePolicy, type ChoiceRequest, chooseBackend, defaultTiers } from '../../src/core/choice.ts';
import { isTroupeError } from '../../src/core/errors.ts';
import { modelCatalog } from '../../src/core/models.ts';
import { freePrice, priceTable } from '../../src/core/prices.ts';

const seed = 20_251_107;

const hard = 'Design the architecture and prove that it keeps its invariants';
const medium = 'Explain the difference between a mutex and a semaphore, please, to a beginner';
const simple = 'Translate: good morning';

function candidate(kind: BackendKind, model: string, more: Partial<Candidate> = {}): Candidate {
  return { ...candidateOf({ backend: { kind, model, info: backendCatalog[kind] } }), ...more };
}

const claude = candidate('claude', 'sonnet');
const anthropic = candidate('anthropic', 'claude-sonnet-4-5');
const openai = candidate('openai', 'gpt-4o-mini');
const ollama = candidate('ollama', 'llama3');
const qwen = candidate('ollama', 'qwen2.5:7b', { name: 'qwen' });
const offline = candidate('offline', 'rules');
const all = [offline, ollama, qwen, openai, anthropic, claude];
const down = (one: Candidate): Candidate => ({ ...one, available: false, reason: 'no key' });

function chosen(
  request: Partial<ChoiceRequest>,
  candidates: readonly Candidate[] = all,
  policy?: ChoicePolicy,
): string {
  return chooseBackend({ task: simple, ...request }, candidates, policy).backend;
}

function why(request: Partial<ChoiceRequest>, candidates: readonly Candidate[] = all, policy?: ChoicePolicy) {
  const { rejected } = chooseBackend({ task: simple, ...request }, candidates, policy);
  return Object.fromEntries(rejected.map(({ backend, why }) => [backend, why]));
}

describe('by how hard the task is', () => {
  test.each([
    [hard, 'claude'],
    [medium, 'openai'],
    [simple, 'ollama'],
    ['', 'ollama'],
  ])('%s', (task, backend) => {
    expect(chosen({ task })).toBe(backend);
  });

  test('tiers of your own, by name or kind, in any order; the lowest takes what is above none', () => {
    const tiers = [
      { above: 0.9, backends: ['qwen'] },
      { above: 0.95, backends: ['anthropic'] },
      { above: 0.1, backends: ['offline'] },
    ];
    expect([hard, simple].map((task) => chosen({ task }, all, { tiers }))).toEqual(['anthropic', 'offline']);
    const steep = [{ above: 1, backends: ['ollama'] }];
    expect(chosen({ task: simple }, all, { tiers: steep })).toBe('ollama');
  });

  test.each([
    [0.29, 'claude'],
    [0.3, 'ollama'],
  ])('a score of 0.3 is above 0.29 and not above 0.3: %d', (above, backend) => {
    const tiers = [
      { above, backends: ['claude'] },
      { above: 0, backends: ['ollama'] },
    ];
    expect(chosen({ task: '' }, all, { tiers })).toBe(backend);
  });

  test('in a tier the first that is named, or the cheapest', () => {
    const tiers = [{ above: 0, backends: ['claude', 'openai', 'mine'] }];
    const mine = { ...openai, name: 'mine', kind: 'mine', price: undefined };
    expect(chosen({}, [...all, mine], { tiers })).toBe('claude');
    expect(chosen({}, [mine, ...all], { tiers, prefer: 'cheapest' })).toBe('openai');
    expect(chosen({}, [mine], { tiers, prefer: 'cheapest' })).toBe('mine');
  });
});

describe('where the tier has nothing that fits', () => {
  test.each([
    ['the next better', simple, [down(ollama), openai, claude], 'openai'],
    ['the best, when that has none either', simple, [down(ollama), down(openai), claude], 'claude'],
    ['the better one first', medium, [ollama, down(openai), anthropic], 'anthropic'],
    ['the next worse', hard, [ollama, openai, down(claude), down(anthropic)], 'openai'],
    ['the worst', hard, [ollama, down(openai), down(claude)], 'ollama'],
  ])('%s', (_what, task, candidates, backend) => {
    expect(chosen({ task }, candidates)).toBe(backend);
  });

  test('it says so', () => {
    expect(chooseBackend({ task: simple }, [down(ollama), down(openai), claude])).toEqual({
      backend: 'claude',
      model: 'sonnet',
      score: 0,
      reasons: [
        '+0.30 any task',
        '-0.30 one operation on what is given ("translate")',
        'a score of 0 asks for ollama, llamaCpp, vllm, lmStudio, localAi',
        'none of them fits',
        'next better are openai',
        'none of them fits',
        'next better are claude, anthropic',
        'claude fits',
      ],
      rejected: [
        { backend: 'ollama', model: 'llama3', why: 'no key' },
        { backend: 'openai', model: 'gpt-4o-mini', why: 'no key' },
      ],
    });
  });
});

describe('requirements come before the score', () => {
  test.each<[string, Partial<ChoiceRequest>, string]>([
    ['tools, of the model too', { needs: ['tools'] }, 'qwen'],
    ['images', { needs: ['images'] }, 'openai'],
    ['sessions', { needs: ['sessions'] }, 'claude'],
    ['a window', { inputTokens: 20_000 }, 'qwen'],
    ['a large window', { inputTokens: 130_000, outputTokens: 1000 }, 'claude'],
    ['a window for a long task', { task: `${simple} ${'x'.repeat(80_000)}` }, 'qwen'],
    ['privacy', { task: hard, privacy: 'local' }, 'ollama'],
    ['a budget', { task: hard, budgetUsd: 0.01 }, 'openai'],
    ['no money at all', { task: hard, budgetUsd: 0 }, 'ollama'],
  ])('%s', (_what, request, backend) => {
    expect(chosen(request)).toBe(backend);
  });

  test('each is said', () => {
    const unpriced = { ...openai, name: 'unpriced', price: undefined };
    const asked = { needs: ['tools', 'images'], privacy: 'local', budgetUsd: 0.001, inputTokens: 5000 } as const;
    const seeing = candidate('ollama', 'gemma3', { name: 'seeing', capabilities: ['tools', 'images'] });
    const refuse = ({ name }: Candidate) => (name === 'offline' ? 'it has no language model' : undefined);
    expect(why(asked, [...all, unpriced, seeing], { refuse })).toEqual({
      offline: 'no tier names it; it cannot do images; it has no language model',
      ollama: 'it cannot do tools, images; it takes 8192 tokens of 9096',
      qwen: 'it cannot do images',
      openai: 'data would leave this machine; a call may cost $0.0032076 of $0.001 that are left',
      anthropic: 'data would leave this machine; a call may cost $0.08019 of $0.001 that are left',
      claude: 'data would leave this machine; a call may cost $0.05346 of $0.001 that are left',
      unpriced: 'data would leave this machine; its price is not known, and there is a budget',
    });
  });

  test('a window that is not known is no hindrance', () => {
    expect(chosen({ inputTokens: 1e6 }, [candidate('ollama', 'my-own')])).toBe('ollama');
  });

  test('what is not available says why, or that it is not', () => {
    expect(why({}, [down(ollama), { ...openai, available: false }, claude])).toEqual({
      ollama: 'no key',
      openai: 'it is not available',
    });
  });
});

describe('an agent stays where it was', () => {
  test.each<[string, Partial<ChoiceRequest>, ChoicePolicy, string]>([
    ['whatever the task', { task: hard, previous: 'qwen' }, {}, 'qwen'],
    ['while it fits', { task: simple, previous: 'openai', privacy: 'local' }, {}, 'ollama'],
    ['unless it is gone', { task: simple, previous: 'nobody' }, {}, 'ollama'],
    ['unless the policy says otherwise', { task: hard, previous: 'qwen' }, { sticky: false }, 'claude'],
  ])('%s', (_what, request, policy, backend) => {
    expect(chosen(request, all, policy)).toBe(backend);
  });

  test('and says so', () => {
    const { reasons } = chooseBackend({ task: hard, previous: 'qwen' }, all);
    expect(reasons.at(-1)).toBe('qwen was chosen before and still fits');
  });
});

describe('none fits', () => {
  test.each([
    [
      [down(ollama), offline],
      'No backend fits the task: ollama (llama3): no key. offline (rules): no tier names it. Set one up, ask for less, or name one yourself as `backend`.',
    ],
    [
      [],
      'No backend fits the task: there is none to choose from. Set one up, ask for less, or name one yourself as `backend`.',
    ],
  ])('and why is said of each', (candidates, message) => {
    const choose = () => chooseBackend({ task: simple }, candidates);
    expect(choose).toThrow(
      expect.objectContaining({ code: 'TROUPE_ERR_BACKEND_NONE_FITS', class: 'invalid', message }),
    );
  });
});

test.each([
  [{ privacy: 'locl' }, {}, '`privacy` must be `local` or `any`, not "locl"'],
  [{ budgetUsd: -1 }, {}, '`budgetUsd` must be a number of USD, 0 or more, not -1'],
  [{ budgetUsd: Number.NaN }, {}, '`budgetUsd` must be a number of USD, 0 or more, not NaN'],
  [{}, { tiers: [] }, '`tiers` must be an array with a tier in it, not an array'],
  [{}, { prefer: 'best' }, '`prefer` must be `named` or `cheapest`, not "best"'],
])('what is wrong is refused, not guessed: %o %o', (request, policy, says) => {
  const choose = () => chooseBackend({ task: simple, ...request } as ChoiceRequest, all, policy as ChoicePolicy);
  expect(choose).toThrow(expect.objectContaining({ code: 'TROUPE_ERR_OPTION_INVALID' }));
  expect(choose).toThrow(says);
});

describe('a candidate', () => {
  test('of a row of the catalog', () => {
    expect(candidate('ollama', 'llama3:8b')).toEqual({
      name: 'ollama',
      kind: 'ollama',
      model: 'llama3:8b',
      inference: 'local',
      price: freePrice,
      capabilities: ['streaming', 'structured-output', 'embeddings'],
      contextTokens: 8192,
      available: true,
    });
  });

  test('what its server, its owner and its price list say comes first', () => {
    const given = {
      name: 'mine',
      backend: { kind: 'ollama', model: 'llama3', info: backendCatalog.ollama },
      model: 'my-own',
      facts: { contextTokens: 2048, tools: false, images: true },
      prices: priceTable({ date: '2026-11-24', models: { 'my-own': { inputUsd: 1, outputUsd: 2 } } }),
      unavailable: 'it cools down',
    };
    expect(candidateOf(given)).toMatchObject({
      name: 'mine',
      model: 'my-own',
      price: { inputUsd: 1, outputUsd: 2 },
      capabilities: ['streaming', 'structured-output', 'embeddings', 'images'],
      contextTokens: 2048,
      available: false,
      reason: 'it cools down',
    });
  });
});

describe('for any task and any backends', () => {
  const kind = fc.constantFrom<BackendKind>('claude', 'anthropic', 'openai', 'ollama', 'llamaCpp', 'offline');
  const need = fc.constantFrom<Need>('tools', 'images', 'structured-output', 'sessions', 'mcp');
  const requests: fc.Arbitrary<ChoiceRequest> = fc.record(
    {
      task: fc.constantFrom(hard, medium, simple, ''),
      needs: fc.array(need, { maxLength: 2 }),
      inputTokens: fc.nat(200_000),
      outputTokens: fc.nat(5000),
      privacy: fc.constantFrom('local' as const, 'any' as const),
      budgetUsd: fc.double({ min: 0, max: 0.1, noNaN: true }),
      previous: kind,
    },
    { requiredKeys: ['task'] },
  );
  const ofKind = ([kind, model, available]: [BackendKind, string, boolean]) => candidate(kind, model, { available });
  const flat = modelCatalog.filter(({ price }) => price?.longPrompt === undefined);
  const models = fc.constantFrom(...flat.map(({ id }) => id), 'my-own');
  const candidates = fc.array(fc.tuple(kind, models, fc.boolean()).map(ofKind), { maxLength: 8 });
  const policies = fc.record({ prefer: fc.constantFrom('named', 'cheapest'), sticky: fc.boolean() } as const, {
    requiredKeys: [],
  }) as fc.Arbitrary<ChoicePolicy>;

  /** The choice, or undefined when none fits. */
  function choose(...given: Parameters<typeof chooseBackend>) {
    try {
      return chooseBackend(...given);
    } catch (error) {
      if (isTroupeError(error) && error.code === 'TROUPE_ERR_BACKEND_NONE_FITS') return undefined;
      throw error;
    }
  }

  /** Written once more, without the code under test. The prices of the cache count: a prompt may be written to it. */
  function fits({ price, ...one }: Candidate, request: ChoiceRequest): boolean {
    const { needs = [], inputTokens = Math.ceil(request.task.length / 4), outputTokens = 4096, budgetUsd } = request;
    const inputUsd = price && Math.max(price.inputUsd, price.cacheWriteUsd ?? 0);
    const cheap = price && inputTokens * inputUsd! + outputTokens * price.outputUsd <= budgetUsd! * 1e6;
    return (
      one.available &&
      defaultTiers.some(({ backends }) => backends.includes(one.kind)) &&
      needs.every((each) => one.capabilities.includes(each)) &&
      (request.privacy !== 'local' || one.inference !== 'cloud') &&
      inputTokens + outputTokens <= (one.contextTokens ?? Number.POSITIVE_INFINITY) &&
      (budgetUsd === undefined || cheap === true)
    );
  }

  test('what is chosen fits, stays where it can, and is the same again; else nothing fits', () => {
    const seen = { chosen: 0, stayed: 0, none: 0 };
    const property = fc.property(requests, candidates, policies, (request, given, policy) => {
      const choice = choose(request, given, policy);
      expect(choose(request, given, policy)).toEqual(choice);
      const fitting = given.filter((one) => fits(one, request));
      if (choice === undefined) {
        seen.none += 1;
        expect(fitting).toEqual([]);
        return;
      }
      seen.chosen += 1;
      const { backend, model, rejected } = choice;
      const taken = fitting.find((one) => one.name === backend && one.model === model);
      expect(taken).toBeDefined();
      expect(request.privacy === 'local' && taken?.inference === 'cloud').toBe(false);
      expect(rejected.length).toBe(given.length - fitting.length);
      if (policy.sticky === false || !fitting.some(({ name }) => name === request.previous)) return;
      seen.stayed += 1;
      expect(backend).toBe(request.previous);
    });
    fc.assert(property, { seed, numRuns: 1000 });
    for (const times of Object.values(seen)) expect(times).toBeGreaterThan(10);
  });
});
