/**
 * The same work with undici and nothing else: what a careful programmer would write by hand for exactly this.
 * No errors beyond the status, no deadlines, no events, no store, no cancellation.
 */
import { Agent, request } from 'undici';

export class Bare {
  #url;
  #agent = new Agent();
  #headers = { 'content-type': 'application/json', accept: 'text/event-stream', authorization: 'Bearer none' };

  /** @param {string} url base URL of the server */
  constructor(url) {
    this.#url = `${url}/v1/chat/completions`;
  }

  /**
   * One model call. `onText` gets each piece as it comes.
   * @returns {Promise<{ text: string, calls: { id: string, name: string, arguments: string }[], usage: object }>}
   */
  async call(model, messages, { tools, onText } = {}) {
    const body = { model, messages, tools, stream: true, stream_options: { include_usage: true }, max_tokens: 4096 };
    const response = await request(this.#url, {
      dispatcher: this.#agent,
      method: 'POST',
      headers: this.#headers,
      body: JSON.stringify(body),
    });
    if (response.statusCode !== 200) throw new Error(`HTTP ${response.statusCode}`);
    const reply = { text: '', calls: [], usage: undefined, finish: undefined };
    const decoder = new TextDecoder();
    let rest = '';
    for await (const bytes of response.body) {
      const events = (rest + decoder.decode(bytes, { stream: true })).split('\n\n');
      rest = events.pop();
      for (const event of events) take(reply, event.slice('data: '.length), onText);
    }
    if (reply.finish === undefined) throw new Error('The answer was cut.');
    return reply;
  }

  /** Calls until the model wants no more tools. */
  async loop(model, messages, tools, run) {
    for (;;) {
      const reply = await this.call(model, messages, { tools });
      if (reply.calls.length === 0) return reply;
      messages.push({ role: 'assistant', content: reply.text, tool_calls: reply.calls.map(wireCall) });
      for (const { id, name, arguments: text } of reply.calls)
        messages.push({ role: 'tool', tool_call_id: id, content: String(await run(name, JSON.parse(text))) });
    }
  }

  close() {
    return this.#agent.close();
  }
}

function take(reply, data, onText) {
  if (data === '[DONE]') return;
  const { choices, usage } = JSON.parse(data);
  if (usage) reply.usage = usage;
  const choice = choices[0];
  if (choice === undefined) return;
  const { content, tool_calls: pieces } = choice.delta;
  if (content) {
    reply.text += content;
    onText?.(content);
  }
  for (const piece of pieces ?? []) takeCall(reply.calls, piece);
  if (choice.finish_reason) reply.finish = choice.finish_reason;
}

function takeCall(calls, { index, id, function: { name, arguments: text } }) {
  calls[index] ??= { id, name, arguments: '' };
  calls[index].arguments += text;
}

function wireCall({ id, name, arguments: text }) {
  return { id, type: 'function', function: { name, arguments: text } };
}
