/** What one chunk of a stream costs to read: framing, JSON and our words for it, beside a split and a parse. */
import { pathToFileURL } from 'node:url';

const chunks = 20_000;
const facts = { backend: 'bench', model: 'm', redact: (text) => text };
/** About what a socket hands over at once. */
const readBytes = 16 * 1024;

const protocols = {
  sse: {
    title: 'SSE, one chunk',
    chunk: `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta: { content: ' word' }, finish_reason: null }] })}\n\n`,
    end: `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`,
    separator: '\n\n',
    textOf: (event) => (event === 'data: [DONE]' ? '' : (JSON.parse(event.slice(6)).choices[0].delta.content ?? '')),
    modules: ['sse', 'sseFraming', 'openai-reply', 'ChatReply'],
  },
  ndjson: {
    title: 'NDJSON, one chunk',
    chunk: `${JSON.stringify({ model: 'm', created_at: '2026-01-01T00:00:00Z', message: { role: 'assistant', content: ' word' }, done: false })}\n`,
    end: `${JSON.stringify({ message: { content: '' }, done: true, done_reason: 'stop', eval_count: 5 })}\n`,
    separator: '\n',
    textOf: (line) => JSON.parse(line).message.content,
    modules: ['ndjson', 'ndjsonFraming', 'ollama-reply', 'OllamaReply'],
  },
};

/** The workload of one protocol. */
export async function parsing(name, { dist }) {
  const { title, chunk, end, separator, textOf, modules } = protocols[name];
  const load = (file) => import(pathToFileURL(`${dist}/actors/wire/${file}.js`).href);
  const framing = (await load(modules[0]))[modules[1]];
  const Reply = (await load(modules[2]))[modules[3]];
  const bytes = Buffer.from(chunk.repeat(chunks) + end);
  const reads = Array.from({ length: Math.ceil(bytes.length / readBytes) }, (_, index) =>
    bytes.subarray(index * readBytes, (index + 1) * readBytes),
  );
  const length = chunks * ' word'.length;
  return {
    ...{ title, target: 2, asks: chunks, close: async () => {} },
    bare: async () => ({
      run: async () => {
        const decoder = new TextDecoder();
        let [rest, text] = ['', ''];
        for (const read of reads) {
          const events = (rest + decoder.decode(read, { stream: true })).split(separator);
          rest = events.pop();
          for (const event of events) text += textOf(event);
        }
        check(text, length);
      },
    }),
    troupe: async () => ({
      run: async () => {
        let text = '';
        const reply = new Reply(facts, (event) => {
          text += event.text;
        });
        const reader = framing.open({ onEvent: (data) => reply.takeEvent(data) });
        for (const read of reads) reader.read(read);
        reader.end();
        check(reply.response().text, length);
        check(text, length);
      },
    }),
  };
}

function check(text, length) {
  if (text.length !== length) throw new Error(`A wrong text of ${text.length} characters instead of ${length}.`);
}
