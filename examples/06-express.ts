/**
 * Agents behind Express. They live as long as the server, every request is an ask, a client that leaves cancels its ask.
 * POST /ask answers JSON, GET /stream sends server-sent events. 05-fastify.ts is the same with Fastify.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type ErrorRequestHandler } from 'express';
import { z } from 'zod';
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

  const question = z.object({ agent: z.enum(['poet', 'clerk']), prompt: z.string() });
  const app = express().use(express.json());
  app.post('/ask', async (request, response) => {
    const { agent, prompt } = question.parse(request.body);
    const { text, usage } = await agents[agent].ask(prompt, { signal: untilLeft(response) });
    response.json({ text, usage });
  });
  app.get('/stream', (request, response) => {
    const { agent, prompt } = question.parse(request.query);
    const stream = agents[agent].stream(prompt, { signal: untilLeft(response) });
    sse(stream).pipe(response.type('text/event-stream'));
  });
  const onError: ErrorRequestHandler = (error, _request, response, next) => {
    if (error instanceof z.ZodError) response.status(400).json({ error: z.prettifyError(error) });
    else if (!isTroupeError(error)) next(error);
    else response.status(error.class === 'overloaded' ? 503 : 502).json({ error: error.code });
  };
  const server = app.use(onError).listen(0, '127.0.0.1');
  endIdleConnections(server);

  await once(server, 'listening');
  const close = async () => {
    const late = setTimeout(() => troupe.close().catch(() => {}), graceMs);
    await Promise.all([once(server, 'close'), server.close()]);
    clearTimeout(late);
    await troupe.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

export async function main(print: (text: string) => void): Promise<void> {
  const { url, close } = await start({ endpoint: process.env['LLM_ENDPOINT'] });
  const response = await fetch(`${url}/stream?agent=clerk&prompt=What is an actor?`);
  print(await response.text());
  await close();
}
