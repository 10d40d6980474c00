/** Fallback: the first backend is down, the next one of another kind answers, the reply lists both. */
import { createTroupe, offline, openai } from '../src/index.ts';

export async function main(print: (text: string) => void): Promise<void> {
  const nobody = openai({ endpoint: 'http://127.0.0.1:9', model: 'llama3' });
  const troupe = createTroupe({ backends: { nobody, rules: offline() } });
  const agent = await troupe.spawn('answerer', { backend: 'nobody', fallback: ['rules'], maxRetries: 0 });
  const reply = await agent.ask('Who are you?');
  for (const { backend, error } of reply.attempts) print(`${backend}: ${error?.code ?? 'answered'}\n`);
  await troupe.close();
}
