/** Phase 3, a local model for the bulk: Claude plans, a model on this machine does the work for nothing. */
import { askAll, type Backend, claudeCli, createTroupe, ollama } from '../src/index.ts';

export async function main(
  print: (text: string) => void,
  claude: Backend = claudeCli(),
  local: Backend = ollama(),
): Promise<void> {
  const troupe = createTroupe({ backends: { claude, local } });
  const planner = await troupe.spawn('planner', {
    backend: 'claude',
    system: 'Write one task a line, no more than three.',
  });
  const plan = await planner.ask('How do we test a book store?');
  const tasks = plan.text.split('\n').filter((task) => task.trim() !== '');
  const requests = tasks.map(async (prompt, index) => {
    const agent = await troupe.spawn(`worker ${index + 1}`, { backend: 'local', fallback: ['claude'] });
    return { agent, prompt };
  });
  const results = await askAll(await Promise.all(requests), { limit: 2 });
  for (const { agent, reply, error } of results) print(`${agent}: ${reply?.text ?? error?.message}\n`);
  for (const { name, backend, costUsd = 0 } of troupe.agents())
    print(`${name} on ${backend}: $${costUsd.toFixed(6)}\n`);
  await troupe.close();
}
