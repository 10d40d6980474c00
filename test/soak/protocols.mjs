/**
 * Three protocols from the server's side: where they take calls, what a request says, and how an answer is written, as a
 * stream or whole. An answer is a list of parts: what a fault may cut between.
 */

/** One SSE event. */
const event = (value, name) =>
  `${name === undefined ? '' : `event: ${name}\n`}data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;
const line = (value) => `${JSON.stringify(value)}\n`;

/** A whole answer in two parts, neither of which is JSON; the cut is between two characters. */
function halves(value) {
  const text = JSON.stringify(value);
  const [left] = text.slice(Math.floor(text.length / 2)).match(/^[\uDC00-\uDFFF]?/);
  const middle = Math.floor(text.length / 2) + left.length;
  return [text.slice(0, middle), text.slice(middle)];
}

const openAi = {
  path: '/v1/chat/completions',
  streamType: 'text/event-stream',
  keepAlive: ': keepalive\n\n',
  garbage: event('{"choices":[{'),
  error: (message, type) => ({ error: { message, type, code: null, param: null } }),
  errorEvent: (error) => event(error),
  messages: ({ messages }) =>
    messages.map(({ role, content, tool_calls: calls = [], tool_call_id: answers }) => {
      return { role, text: content ?? '', calls: calls.map(({ id }) => id), answers: answers ? [answers] : [] };
    }),
  stream(pieces, call) {
    const chunk = (delta, finish = null) => event({ choices: [{ index: 0, delta, finish_reason: finish }] });
    const wanted = call && [
      { index: 0, id: call.id, type: 'function', function: { name: call.name, arguments: '{}' } },
    ];
    return [
      chunk({ role: 'assistant', content: null }),
      ...pieces.map((content) => chunk({ content })),
      ...(wanted ? [chunk({ tool_calls: wanted })] : []),
      chunk({}, wanted ? 'tool_calls' : 'stop') + event({ choices: [], usage: openAiUsage }) + event('[DONE]'),
    ];
  },
  whole(text, call) {
    const wanted = call && [{ id: call.id, type: 'function', function: { name: call.name, arguments: '{}' } }];
    const message = { role: 'assistant', content: text, ...(wanted && { tool_calls: wanted }) };
    return halves({
      choices: [{ index: 0, message, finish_reason: wanted ? 'tool_calls' : 'stop' }],
      usage: openAiUsage,
    });
  },
};
const openAiUsage = { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 };

const anthropic = {
  path: '/v1/messages',
  streamType: 'text/event-stream',
  keepAlive: event({ type: 'ping' }, 'ping'),
  garbage: event('{"type":"content_block_delta"', 'content_block_delta'),
  error: (message, type) => ({ type: 'error', error: { type, message } }),
  errorEvent: (error) => event(error, 'error'),
  messages: ({ messages }) =>
    messages.map(({ role, content }) => {
      const blocks = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
      const texts = blocks.filter(({ type }) => type === 'text' || type === 'tool_result');
      const answers = blocks.filter(({ type }) => type === 'tool_result').map(({ tool_use_id: id }) => id);
      return {
        role: answers.length > 0 ? 'tool' : role,
        text: texts.map(({ text, content: result }) => text ?? result).join(''),
        calls: blocks.filter(({ type }) => type === 'tool_use').map(({ id }) => id),
        answers,
      };
    }),
  stream(pieces, call) {
    const typed = (type, fields) => event({ type, ...fields }, type);
    const block = call ? { type: 'tool_use', id: call.id, name: call.name, input: {} } : { type: 'text', text: '' };
    const deltas = call
      ? [{ type: 'input_json_delta', partial_json: '{}' }]
      : pieces.map((text) => ({ type: 'text_delta', text }));
    const message = { ...about, content: [], stop_reason: null, usage: { input_tokens: 12, output_tokens: 1 } };
    return [
      typed('message_start', { message }) + typed('content_block_start', { index: 0, content_block: block }),
      ...deltas.map((delta) => typed('content_block_delta', { index: 0, delta })),
      typed('content_block_stop', { index: 0 }) +
        typed('message_delta', {
          delta: { stop_reason: call ? 'tool_use' : 'end_turn' },
          usage: { output_tokens: 5 },
        }) +
        typed('message_stop'),
    ];
  },
  whole(text, call) {
    const block = call ? { type: 'tool_use', id: call.id, name: call.name, input: {} } : { type: 'text', text };
    const usage = { input_tokens: 12, output_tokens: 5 };
    return halves({ ...about, content: [block], stop_reason: call ? 'tool_use' : 'end_turn', usage });
  },
};
const about = { id: 'msg_1', type: 'message', role: 'assistant', model: 'm' };

const ollama = {
  path: '/api/chat',
  streamType: 'application/x-ndjson',
  keepAlive: '\n',
  garbage: '{"message":{\n',
  error: (message) => ({ error: message }),
  errorEvent: (error) => line(error),
  messages: ({ messages }) =>
    messages.map(({ role, content, tool_calls: calls = [], tool_name: name }) => {
      return { role, text: content, calls: calls.map((call) => call.function.name), answers: name ? [name] : [] };
    }),
  stream(pieces, call) {
    const part = (message) =>
      line({ model: 'm', message: { role: 'assistant', content: '', ...message }, done: false });
    const wanted = call && [{ function: { name: call.name, arguments: {} } }];
    return [
      part({}),
      ...pieces.map((content) => part({ content })),
      ...(wanted ? [part({ tool_calls: wanted })] : []),
      line({ model: 'm', message: { role: 'assistant', content: '' }, ...ending }),
    ];
  },
  whole(text, call) {
    const wanted = call && [{ function: { name: call.name, arguments: {} } }];
    const message = { role: 'assistant', content: text, ...(wanted && { tool_calls: wanted }) };
    return halves({ model: 'm', message, ...ending });
  },
};
const ending = { done: true, done_reason: 'stop', prompt_eval_count: 12, eval_count: 5 };

/** The protocols by the name of the backend that speaks them. */
export const protocols = { openai: openAi, anthropic, ollama };
