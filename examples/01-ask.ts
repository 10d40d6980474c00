/**
 * The shortest way: spawn, ask, stream, close. In a project of your own the import is 'troupe'.
 * It talks to the server that LLM_ENDPOINT names (say, http://localhost:11434 with LLM_MODEL=llama3).
 */
import { createTroupe } from '../src/index.ts';

export async function main(print: (text: string) => void): Promise<void> {
  const troupe = createTroupe({ defaults: { backend: 'openai' } });
  const agent = await troupe.spawn('poet', { system: 'Answer in one line.' });
  const reply = await agent.ask('What is an actor?');
  print(`${reply.text} (${reply.usage.outputTokens ?? '?'} tokens)\n`);
  for await (const event of agent.stream('And what is a mailbox?')) {
    if (event.type === 'text-delta') print(event.text);
  }
  await troupe.close();
}
