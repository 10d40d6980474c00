/**
 * Agents behind Fastify. They live as long as the server, every request is an ask, a client that leaves cancels its ask.
 * POST /ask answers JSON, GET /stream sends server-sent events. 06-express.ts is the same with Express.
 */
import Fastify from 'fastify';
import { createTroupe, isTroupeError, openai } from '../src/index.ts';
import { endIdleConnections, sse, untilLeft } from './sse.ts';

/** `graceMs`: what `close` gives the asks in progress before it ends them. */
export async function start({ endpoint = 'http://localhost:11434', model = 'llama3', graceMs = 10_000 }) {
  const troupe = createTroupe({ backends: { local: openai({ endpoint, model }) } });
  // An agent answers one ask at a time, the others wait in its mailbox. Stateless: no client sees what another said.
  const spec = { stateless: true, mailboxLimit: 50 };
  const poet = await troupe.spawn('poet', { ...spec, system: 'Answer in verse.' });
  const clerk = await troupe.spawn('clerk', { ...spec, system: 'Answer in one line.' });
  const agents = { poet, clerk };

  type Question = { agent: keyof typeof agents; prompt: string };
  const properties = { agent: { enum: Object.keys(agents) }, prompt: { type: 'string' } };
  const question = { type: 'object', required: ['agent', 'prompt'], properties };
  const app = Fastify();
  app.post<{ Body: Question }>('/ask', { schema: { body: question } }, async ({ body }, reply) => {
    const { text, usage } = await agents[body.agent].ask(body.prompt, { signal: untilLeft(reply.raw) });
    return { text, usage };
  });
  app.get<{ Querystring: Question }>('/stream', { schema: { querystring: question } }, ({ query }, reply) => {
    const stream = agents[query.agent].stream(query.prompt, { signal: untilLeft(reply.raw) });
    return reply.type('text/event-stream').send(sse(stream));
  });
  app.setErrorHandler((error, _request, reply) => {
    if (!isTroupeError(error)) return reply.send(error);
    return reply.code(error.class === 'overloaded' ? 503 : 502).send({ error: error.code });
  });
  endIdleConnections(app.server);

  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const close = async () => {
    const late = setTimeout(() => troupe.close().catch(() => {}), graceMs);
    await app.close();
    clearTimeout(late);
    await troupe.close();
  };
  return { url, close };
}

export async function main(print: (text: string) => void): Promise<void> {
  const { url, close } = await start({ endpoint: process.env['LLM_ENDPOINT'] });
  const response = await fetch(`${url}/stream?agent=clerk&prompt=What is an actor?`);
  print(await response.text());
  await close();
}
