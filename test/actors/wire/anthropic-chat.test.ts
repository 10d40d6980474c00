import { describe, expect, it } from 'vitest';
import type { ModelRequest } from '../../../actors/backend.ts';
import { type MessagesDefaults, messagesBody } from '../../../actors/wire/anthropic-chat.ts';
import { Conversation, type Group } from '../../../src/core/conversation.ts';
import { refusal } from '../../helpers/anthropic-rules.ts';
import { modelRequest } from '../../helpers/model-request.ts';

type Body = Record<string, unknown> & { readonly messages: { role: string; content: Record<string, unknown>[] }[] };

/** The body of a request, which the server must take. */
function bodyOf(request: Partial<ModelRequest>, defaults: Partial<MessagesDefaults> = {}): Body {
  const pieces = messagesBody(modelRequest(request), { caching: 'none', stream: true, ...defaults });
  const body = JSON.parse(Buffer.concat(pieces).toString());
  expect(refusal(body)).toBeUndefined();
  return body;
}

function talk(...groups: readonly Group[]): Conversation {
  const conversation = new Conversation();
  for (const group of groups) conversation.append(group);
  return conversation;
}

const text = (said: string) => ({ type: 'text', text: said });
const keep = { cache_control: { type: 'ephemeral' } };
const schema = { type: 'object' };
const hi = { role: 'user', content: 'Hi' } as const;

it('a request holds no more than it must', () => {
  const conversation = new Conversation(' \n');
  conversation.append([
    { role: 'user', content: '  ' },
    { role: 'assistant', content: '' },
  ]);
  expect(bodyOf({ conversation }, { stream: false, parameters: { responseFormat: { type: 'json' } } })).toEqual({
    model: 'm',
    max_tokens: 4096,
    stream: false,
    messages: [{ role: 'user', content: '(no text)' }, { role: 'assistant', content: [text('(no text)')] }, hi],
  });
});

it('extra fields win over ours, those of the output one by one', () => {
  const extra = { max_tokens: 9, system: 'Mine.', output_config: { effort: 'low' } };
  expect(bodyOf({ parameters: { extra } })).toMatchObject(extra);
  const responseFormat = { type: 'schema', name: 'answer', schema } as const;
  const output = bodyOf({ parameters: { extra, responseFormat } })['output_config'];
  expect(output).toEqual({ format: { type: 'json_schema', schema }, effort: 'low' });
});

it('thinking has its own tokens', () => {
  const body = bodyOf({ parameters: { maxTokens: 10 } }, { thinkingTokens: 1024, parameters: { maxTokens: 99 } });
  expect(body).toMatchObject({ max_tokens: 1034, thinking: { type: 'enabled', budget_tokens: 1024 } });
});

it('what the server is asked to keep is marked outside the messages', () => {
  const tools = ['f', 'g'].map((name) => ({ name, description: 'D', parameters: schema }));
  const wired = tools.map(({ name, description }) => ({ name, description, input_schema: schema }));
  expect(bodyOf({ tools })).toMatchObject({ system: 'Be brief.', tools: wired });
  const marked = bodyOf({ tools }, { caching: 'marked' });
  expect(marked).toEqual({
    ...bodyOf({ tools }),
    system: [{ ...text('Be brief.'), ...keep }],
    tools: [wired[0], { ...wired[1], ...keep }],
  });
  expect(bodyOf({ tools }, { caching: 'all' })).toEqual({ ...marked, ...keep });
});

it('pictures stand before the text that they belong to', () => {
  const images = [
    { mediaType: 'image/png', data: 'iVBORw0=' },
    { mediaType: 'image/webp', data: 'UklGRg==' },
  ] as const;
  const blocks = images.map(({ mediaType, data }) => ({
    type: 'image',
    source: { type: 'base64', media_type: mediaType, data },
  }));
  const sent = (content: string) => bodyOf({ prompt: [{ role: 'user', content, images }] }).messages;
  expect(sent('What is it?')).toEqual([{ role: 'user', content: [...blocks, text('What is it?')] }]);
  expect(sent('')).toEqual([{ role: 'user', content: blocks }]);
});

it('ids of tool calls are in letters that the server takes, no two alike', () => {
  const ids = ['a', 'a.', 'a_', 'troupe_a_2e_', 'troupe_a_', 'A', 'ä', '\ud800', '\udfff', '', 'functions.f:0'];
  const conversation = talk([
    hi,
    { role: 'assistant', content: '', toolCalls: ids.map((id) => ({ id, name: 'f', arguments: '{}' })) },
    ...ids.map((callId) => ({ role: 'tool', callId, name: 'f', content: callId }) as const),
  ]);
  const [, calls, results] = bodyOf({ conversation }).messages;
  const wired = calls!.content.map((one) => one['id']);
  expect(wired.slice(0, 3)).toEqual(['a', 'troupe_a_2e_', 'a_']);
  expect(new Set(wired).size).toBe(ids.length);
  expect(results!.content.map((one) => one['tool_use_id'])).toEqual(wired);
});

it('each step is a message with calls and one with all its results, also when one was interrupted', () => {
  const step = (...ids: string[]): Group => [
    { role: 'assistant', content: '', toolCalls: ids.map((id) => ({ id, name: 'f', arguments: '[1]' })) },
    ...ids.map((callId) => ({ role: 'tool', callId, name: 'f', content: 'r', isError: callId === 'c' }) as const),
  ];
  const called = (...ids: string[]) => ids.map((id) => ({ type: 'tool_use', id, name: 'f', input: {} }));
  const result = (id: string) => ({ type: 'tool_result', tool_use_id: id, content: 'r' });
  const interrupted = { role: 'assistant', content: [text('(interrupted)')] };
  // The last group holds two steps, as a conversation may that comes from elsewhere.
  const conversation = talk([hi, ...step('a', 'b')], step('c'), [hi, ...step('d'), ...step('e', 'f')]);
  expect(bodyOf({ conversation }).messages).toEqual([
    hi,
    { role: 'assistant', content: called('a', 'b') },
    { role: 'user', content: [result('a'), result('b')] },
    { role: 'assistant', content: called('c') },
    { role: 'user', content: [{ ...result('c'), is_error: true }] },
    interrupted,
    hi,
    { role: 'assistant', content: called('d') },
    { role: 'user', content: [result('d')] },
    { role: 'assistant', content: called('e', 'f') },
    { role: 'user', content: [result('e'), result('f')] },
    interrupted,
    hi,
  ]);
});

describe('the rules of the server', () => {
  const ask = (...messages: object[]) => refusal({ model: 'm', max_tokens: 1, messages: [hi, ...messages] });
  const says = (...content: object[]) => ({ role: 'assistant', content });
  const called = (id: string) => ({ type: 'tool_use', id, name: 'f', input: {} });
  const answers = (...ids: string[]) => ({
    role: 'user',
    content: ids.map((id) => ({ type: 'tool_result', tool_use_id: id, content: '' })),
  });
  const thinking = { type: 'thinking', thinking: 'Hm.', signature: 's' };

  it('are held by a good request', () => {
    expect(ask(says(thinking, text('So.'), called('a'), called('b')), answers('a', 'b'))).toBeUndefined();
  });

  it.each<[string, (string | undefined)[]]>([
    ['two results apart', [ask(says(called('a'), called('b')), answers('a'), answers('b'))]],
    ['no result', [ask(says(called('a')), hi)]],
    ['a result without a call', [ask(says(text('So.')), answers('a'))]],
    ['two results of one call', [ask(says(called('a')), answers('a', 'a'))]],
    ['an id with other letters', [ask(says(called('a.b')), answers('a.b'))]],
    ['two calls of one id', [ask(says(called('a'), called('a')), answers('a'))]],
    ['roles that do not alternate', [ask(hi), ask(says(text('a')), says(text('b')), hi)]],
    ['a system message', [ask({ role: 'system', content: 'S' }, hi)]],
    ['a blank text', [ask(says(text(' ')), hi), ask(says(), hi)]],
    [
      'thinking in the wrong place',
      [ask(says(thinking), hi), ask(says(text('So.'), thinking, called('a')), answers('a'))],
    ],
    ['an answer begun', [ask(says(text('So')))]],
    ['no cap on tokens', [refusal({ model: 'm', messages: [hi] })]],
    [
      'more thinking than tokens',
      [refusal({ model: 'm', max_tokens: 9, messages: [hi], thinking: { budget_tokens: 9 } })],
    ],
  ])('are broken by %s', (_what, refusals) => {
    for (const why of refusals) expect(why).toEqual(expect.any(String));
  });
});
