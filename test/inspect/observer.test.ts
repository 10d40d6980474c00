/** What a runtime's hooks are told becomes, as far as the content level lets it. */
import { expect, test } from 'vitest';
import { contentFilter } from '../../src/inspect/content.ts';
import type { ContentLevel } from '../../src/inspect/messages.ts';
import { Observer } from '../../src/inspect/observer.ts';
import type { RuntimeHooks } from '../../src/runtime/hooks.ts';
import { stage, usage } from './stage.ts';

const key = `sk-ant-${'secret'.repeat(6)}`;
const error = { code: 'TROUPE_ERR_BACKEND_AUTH', class: 'auth', message: `The key ${key} is wrong.` } as const;
const ofAsk = { agent: 'a', askId: 'ask-x' };
const call = { id: 'call-1', name: 'look_up', arguments: JSON.stringify({ q: 'CANARY', api_key: 'CANARY-2' }) };
const step = { ...ofAsk, backend: 'one', model: 'm', step: 1 };

function tellAll(hooks: RuntimeHooks): void {
  hooks.onAsk({ phase: 'accepted', ...ofAsk, by: 'b', prompt: `CANARY ${key}` });
  hooks.onCall({ phase: 'begin', ...step });
  const spent = { usage: { ...usage, cacheReadTokens: 1, cacheWriteTokens: 0 }, costUsd: 0.1 + 0.2 };
  hooks.onCall({ phase: 'end', ...step, durationMs: 1.23456, ...spent, error });
  hooks.onTool({ phase: 'begin', ...ofAsk, call });
  const result = { role: 'tool', callId: call.id, name: call.name, content: `CANARY ${key}`, isError: true } as const;
  hooks.onTool({ phase: 'end', ...ofAsk, call, result, durationMs: 5 });
  hooks.onAsk({ phase: 'settled', ...ofAsk, outcome: 'replied', text: `CANARY ${key}` });
}

async function told(content: ContentLevel) {
  const { clock, troupe } = stage([]);
  const messages: object[] = [];
  await troupe.spawn('a', { backend: 'one' });
  const tell = (agent: string, detail: object) => messages.push({ agent, ...detail });
  const observer = new Observer({ troupe, filter: contentFilter(content, undefined), tell });
  await clock.advance(7);
  tellAll(observer);
  observer.stop();
  return messages;
}

const tool = { agent: 'a', kind: 'tool', askId: 'ask-x', callId: 'call-1', tool: 'look_up' };
const callEnd = { ...step, kind: 'call', phase: 'end', durationMs: 1.23, ...usage, costUsd: 0.3, total: {} };

test('with content `full`', async () => {
  const shown = 'CANARY [redacted]';
  const args = '{"q":"CANARY","api_key":"[redacted]"}';
  expect(await told('full')).toEqual([
    { agent: 'a', kind: 'ask', phase: 'accepted', askId: 'ask-x', by: 'b', prompt: shown },
    { ...step, kind: 'call', phase: 'begin' },
    { ...callEnd, error: { code: error.code, class: 'auth', message: 'The key [redacted] is wrong.' } },
    { ...tool, phase: 'begin', arguments: args },
    { ...tool, phase: 'end', durationMs: 5, isError: true, result: shown },
    { ...ofAsk, kind: 'ask', phase: 'settled', outcome: 'replied', durationMs: 0, text: shown },
  ]);
});

test('with content `none`', async () => {
  expect(await told('none')).toEqual([
    { agent: 'a', kind: 'ask', phase: 'accepted', askId: 'ask-x', by: 'b' },
    { ...step, kind: 'call', phase: 'begin' },
    { ...callEnd, error: { code: error.code, class: 'auth' } },
    { ...tool, phase: 'begin' },
    { ...tool, phase: 'end', durationMs: 5, isError: true },
    { ...ofAsk, kind: 'ask', phase: 'settled', outcome: 'replied', durationMs: 0 },
  ]);
});
