/** A model server whose answer depends on what it was told: it echoes, calls tools, hangs or fails. */
import type { Exchange, Fault } from '../../src/testing/fault-server.ts';
import { chunk, doneEvent } from '../helpers/openai-wire.ts';

interface WireMessage {
  readonly role: string;
  readonly content: string | readonly unknown[];
}

const sse = { 'content-type': 'text/event-stream' };
const usage = `data: ${JSON.stringify({
  choices: [],
  usage: { prompt_tokens: 12, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 } },
})}\n\n`;

/**
 * What the last message says decides: `call <tool> <arguments>` calls a tool, twice the same calls it twice; `hang` begins to
 * answer and does not end; `fail` is a 500; `say <text>` says it; a tool's result is repeated. All else is echoed with the
 * number of messages before it.
 */
export const talkingModel: Fault = async (exchange) => {
  const messages = (exchange.request.body?.['messages'] ?? []) as WireMessage[];
  const { role, content: given } = messages.at(-1) ?? { role: '', content: '' };
  const content = typeof given === 'string' ? given : 'a list of parts';
  const [word, ...rest] = content.split(' ');
  if (role === 'tool') return say(exchange, `It said: ${content}`);
  if (word === 'call') return call(exchange, rest);
  if (word === 'hang') return hang(exchange);
  if (word === 'fail') return exchange.reply(500, { error: { message: 'scripted failure' } });
  if (word === 'say') return say(exchange, rest.join(' '));
  return say(exchange, `${messages.length - 1} before: ${content}`);
};

function say({ reply }: Exchange, text: string): void {
  const half = Math.ceil(text.length / 2);
  const pieces = [text.slice(0, half), text.slice(half)].map((content) => chunk({ content }));
  reply(200, [...pieces, chunk({}, 'stop'), usage, doneEvent].join(''), sse);
}

/** `a {"x":1} b {}`: a call of each. */
function call({ reply, times }: Exchange, words: readonly string[]): void {
  const calls = words.flatMap((name, index) => {
    if (index % 2 === 1) return [];
    return [{ index: index / 2, id: `call-${times}-${index / 2}`, function: { name, arguments: words[index + 1] } }];
  });
  const pieces = [chunk({ content: 'I look.' }), chunk({ tool_calls: calls }), chunk({}, 'tool_calls')];
  reply(200, [...pieces, usage, doneEvent].join(''), sse);
}

async function hang({ head, write }: Exchange): Promise<void> {
  head(200, sse);
  await write(chunk({ content: 'It begins' }));
}
