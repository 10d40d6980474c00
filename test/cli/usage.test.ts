/** `troupe usage`: what it prints, to the letter. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { memoryStore } from '../../actors/store/memory.ts';
import { sqliteStore } from '../../actors/store/sqlite.ts';
import type { LedgerEntry } from '../../actors/store/store.ts';
import { type UsageFlags, usageCommand } from '../../src/cli/usage-command.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-usage-'));
const path = join(folder, 'troupe.db');
writeFileSync(path, '');

afterEach(() => vi.restoreAllMocks());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const call = (agent: string, model: string, more: Partial<LedgerEntry> = {}): LedgerEntry => ({
  ...{ agent, backend: 'openai', model, at: Date.UTC(2026, 10, 23), calls: 1, costUsd: 0.001 },
  usage: { inputTokens: 1000, outputTokens: 100, cacheReadTokens: undefined, cacheWriteTokens: undefined },
  ...more,
});

const entries = [
  call('writer', 'gpt-4o', { costUsd: 0.0035 }),
  call('writer', 'gpt-4o', { costUsd: 0.0035, at: Date.UTC(2026, 10, 24) }),
  call('reader', 'llama3', { costUsd: 0, backend: 'ollama' }),
];
const unpriced = call('=cmd()', 'own-model', { costUsd: undefined });

/** What it prints of a store with these entries. */
async function usage(flags: Partial<UsageFlags>, ledger: readonly LedgerEntry[] = entries): Promise<string> {
  const store = memoryStore();
  for (const entry of ledger) store.addUsage(entry);
  const close = vi.spyOn(store, 'close');
  let text = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((piece) => {
    text += piece;
    return true;
  });
  expect(await usageCommand({ store: path, ...flags }, async () => store)).toBe(0);
  expect(close).toHaveBeenCalledOnce();
  return text;
}

describe('a table', () => {
  test('by agent, unasked', async () => {
    expect(await usage({})).toBe(`\
agent   calls  input  cached  output       USD
reader      1   1000       ?     100  0.000000
writer      2   2000       ?     200  0.007000
total       3   3000       ?     300  0.007000
`);
  });

  test('by several, with what is not known', async () => {
    expect(await usage({ by: ['model', 'day'] }, [...entries, unpriced, call('reader', 'own-model')])).toBe(`\
model      day         calls  input  cached  output         USD
gpt-4o     2026-11-23      1   1000       ?     100    0.003500
gpt-4o     2026-11-24      1   1000       ?     100    0.003500
llama3     2026-11-23      1   1000       ?     100    0.000000
own-model  2026-11-23      2   2000       ?     200  ≥ 0.001000
total                      5   5000       ?     500  ≥ 0.008000

Of 1 of 5 calls no price is known.
`);
    expect(await usage({ by: ['backend'] }, [unpriced])).toContain('openai       1   1000       ?     100    ?\n');
  });

  test('fits 80 columns', async () => {
    const agent = 'an agent with a very long name';
    const model = `vendor/${'x'.repeat(60)}`;
    const tokens = {
      inputTokens: 123_456_789,
      outputTokens: 987_654,
      cacheReadTokens: 99_999_999,
      cacheWriteTokens: 0,
    };
    const many = call(agent, model, { usage: tokens, costUsd: 1234.567891 });
    expect(await usage({ by: ['agent', 'model', 'backend', 'day'] }, [many, call('b', 'm')])).toBe(`\
agent  model  back…  day         calls      input    cached  output          USD
an a…  vend…  open…  2026-11-23      1  123456789  99999999  987654  1234.567891
b      m      open…  2026-11-23      1       1000         ?     100     0.001000
total                                2  123457789  99999999  987754  1234.568891
`);
  });

  test('has no control codes', async () => {
    expect(await usage({}, [call('a\u001b[31mb\nc', 'gpt-4o')])).toContain('\nab c  ');
  });

  test('of nothing', async () => {
    expect(await usage({}, [])).toBe('No calls yet.\n');
  });
});

test('what another model would have cost', async () => {
  expect(await usage({ whatIf: 'opus' }, [...entries, unpriced])).toBe(`\
agent   calls  input  cached  output         USD
=cmd()      1   1000       ?     100           ?
reader      1   1000       ?     100    0.000000
writer      2   2000       ?     200    0.007000
total       4   4000       ?     400  ≥ 0.007000

Of 1 of 4 calls no price is known.

If opus had done it all: $4.00 in, $20.00 out a million tokens (Claude Code 2.1,
2026-11)
  3000 tokens in and 300 out, of 3 calls
  $0.007 was paid instead of $0.018: 61.1 % less
  The other model is taken to need the same tokens: it may count and answer
  differently.
  1 call left out, of which the tokens or the cost are not known.
`);
});

test('by prices from a file', async () => {
  const prices = join(folder, 'prices.json');
  writeFileSync(
    prices,
    '{"date": "2026-11-24", "source": "the lease", "models": {"own": {"inputUsd": 1, "outputUsd": 2}}}',
  );
  expect(await usage({ whatIf: 'own', prices })).toBe(`\
agent   calls  input  cached  output       USD
reader      1   1000       ?     100  0.000000
writer      2   2000       ?     200  0.007000
total       3   3000       ?     300  0.007000

If own had done it all: $1.00 in, $2.00 out a million tokens (the lease,
2026-11-24)
  3000 tokens in and 300 out, of 3 calls
  $0.007 was paid instead of $0.0036: 94.4 % more
  The other model is taken to need the same tokens: it may count and answer
  differently.
`);
  // The ledger is not complete: what was paid is at least that.
  const text = await usage({ whatIf: 'own', prices }, [
    call('a', 'gpt-4o', { costUsd: 0.0006 }),
    call('a', 'gpt-4o', { costUsd: undefined }),
  ]);
  expect(text).toContain('$0.0006 was paid instead of $0.0024: at most 75.0 % less\n');
});

test('CSV', async () => {
  expect(await usage({ csv: true, by: ['agent'] }, [unpriced, ...entries])).toBe(
    [
      'agent,calls,unpriced,inputTokens,outputTokens,cacheReadTokens,cacheWriteTokens,costUsd',
      "'=cmd(),1,1,1000,100,,,",
      'reader,1,0,1000,100,,,0.000000000',
      'writer,2,0,2000,200,,,0.007000000',
      '',
    ].join('\r\n'),
  );
});

test('JSON', async () => {
  const report = JSON.parse(await usage({ json: true, by: ['backend'], whatIf: 'sonnet' }));
  expect([report.by, report.total.costUsd, report.total.usage.cacheReadTokens]).toEqual([['backend'], 0.007, null]);
  expect([report.whatIf.costUsd, report.whatIf.savedShare]).toEqual([0.009, expect.closeTo(2 / 9, 12)]);
  expect(JSON.parse(await usage({ json: true })).whatIf).toBeUndefined();
});

test('of a store on disk, which stays as it is', async () => {
  const store = sqliteStore(join(folder, 'real.db'));
  for (const entry of entries) store.addUsage(entry);
  await store.close();
  let text = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((piece) => {
    text += piece;
    return true;
  });
  const flags = { store: join(folder, 'real.db'), by: ['model'], csv: true } as const;
  expect([await usageCommand(flags), await usageCommand(flags)]).toEqual([0, 0]);
  const once = [
    'model,calls,unpriced,inputTokens,outputTokens,cacheReadTokens,cacheWriteTokens,costUsd',
    'gpt-4o,2,0,2000,200,,,0.007000000',
    'llama3,1,0,1000,100,,,0.000000000',
    '',
  ].join('\r\n');
  expect(text).toBe(once + once);
});

describe('wrong usage says what is right, and opens nothing', () => {
  test.each([
    [{ by: ['agent', 'colour', 'size'] }, '`--by` takes agent, model, backend, day, not "colour", "size".'],
    [{ csv: true, json: true }, '`--csv` goes with neither'],
    [{ csv: true, whatIf: 'opus' }, '`--csv` goes with neither'],
    [{ whatIf: 'my-own' }, 'No price of the model "my-own" is known. Give it in a file by `--prices`.'],
    [{ prices: join(folder, 'none.json') }, 'none.json cannot be read'],
  ] as const)('%j', async (flags, says) => {
    const open = vi.fn();
    await expect(usageCommand({ store: path, ...flags }, open)).rejects.toThrow(says);
    expect(open).not.toHaveBeenCalled();
  });
});

test('a store that is not there is not made', async () => {
  const none = join(folder, 'none.db');
  await expect(usageCommand({ store: none })).rejects.toThrow('There is no store at');
  expect(existsSync(none)).toBe(false);
});
