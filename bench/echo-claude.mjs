/** A Claude Code that answers at once: the lines of a turn as version 2.1.330 writes them, in size and number. */
import { createInterface } from 'node:readline';

const session_id = option('session-id') ?? 'bench';
const filler = (bytes) => 'x'.repeat(bytes);
const pieces = ['Every', 'thing', ' is', ' all', ' right.'];
const usage = { input_tokens: 100, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 5 };
let turns = 0;

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (message.type === 'control_request') reply(message.request_id);
  else if (message.type === 'user') process.stdout.write(turn(message.uuid));
}

function option(name) {
  return process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3);
}

function reply(request_id) {
  const response = { subtype: 'success', request_id, response: {} };
  process.stdout.write(`${JSON.stringify({ type: 'control_response', response })}\n`);
}

function turn(uuid) {
  turns += 1;
  const id = `msg_${turns}`;
  const about = { session_id, parent_tool_use_id: null, uuid: `entry-${turns}` };
  const streamed = (event) => ({ type: 'stream_event', event, ...about });
  const message = { id, type: 'message', role: 'assistant', model: 'm', content: [], usage };
  const text = pieces.join('');
  const delta = (piece) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: piece } });
  const models = { m: { inputTokens: 100, outputTokens: 5, costUSD: 0.0001, costBasis: 'list' } };
  return [
    { type: 'system', subtype: 'init', tools: [], mcp_servers: [], model: 'm', about: filler(1500), ...about },
    { type: 'system', subtype: 'status', status: 'requesting', ...about },
    streamed({ type: 'message_start', message }),
    streamed({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
    ...pieces.map((piece) => streamed(delta(piece))),
    { type: 'assistant', message: { ...message, content: [{ type: 'text', text }] }, ...about },
    streamed({ type: 'content_block_stop', index: 0 }),
    streamed({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage }),
    streamed({ type: 'message_stop' }),
    {
      ...{ type: 'result', subtype: 'success', is_error: false, result: text, num_turns: 1, stop_reason: 'end_turn' },
      ...{ terminal_reason: 'completed', user_message_uuids: [uuid], usage, modelUsage: models, about: filler(1000) },
      ...{ model_usage_since_last_result: models, total_cost_usd: 0.0001 * turns, session_id, uuid: `result-${turns}` },
    },
  ]
    .map((line) => `${JSON.stringify(line)}\n`)
    .join('');
}
