/** The public verb. */
import { expect, test } from 'vitest';
import { countTokens } from '../../../actors/compression/count-tokens.ts';

test('counts a text as the vocabulary of the model has it', async () => {
  expect(await countTokens('ChatGPT is great!', { model: 'gpt-4' })).toBe(6);
  expect(await countTokens('')).toBe(0);
  expect(await countTokens('<|endoftext|>')).toBeGreaterThan(1);
});

test('counts messages as one request, with what a template adds', async () => {
  expect(await countTokens([{ role: 'user', content: 'two words' }])).toBe(2 + 5 + 3);
  expect(await countTokens([])).toBe(3);
});

test('says what it takes', async () => {
  await expect(countTokens(7 as never)).rejects.toMatchObject({
    code: 'TROUPE_ERR_OPTION_INVALID',
    message: 'countTokens: `counted` must be a string, not 7.',
  });
  await expect(countTokens('a', { model: '' })).rejects.toMatchObject({
    message: 'countTokens: `model` must be a non-empty string, not "".',
  });
  await expect(countTokens('a', { modell: 'x' } as never)).rejects.toMatchObject({
    message: expect.stringContaining('`modell` is no option'),
  });
});
