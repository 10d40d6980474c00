/** Developed on Ollama, shipped on Claude: the same program, another backend; a conversation may move in mid-way. */
import { type Agent, type Backend, claudeCli, createTroupe, ollama } from '../src/index.ts';

async function program(agent: Agent): Promise<string> {
  await agent.ask('We sell books. Remember that.');
  return (await agent.ask('What do we sell?')).text;
}

export async function main(
  print: (text: string) => void,
  claude: Backend = claudeCli(),
  local: Backend = ollama(),
): Promise<void> {
  const troupe = createTroupe({ backends: { local, claude } });
  const developed = await troupe.spawn('assistant', { backend: 'local' });
  print(`local: ${await program(developed)}\n`);
  const moved = await developed.fork('moved', { backend: 'claude' });
  print(`moved to claude: ${(await moved.ask('And what do we not sell?')).text}\n`);
  await developed.kill('shipped');
  print(`claude: ${await program(await troupe.spawn('assistant', { backend: 'claude' }))}\n`);
  await troupe.close();
}
