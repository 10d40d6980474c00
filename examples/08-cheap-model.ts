/** Phase 2, a cheap model for the routine: roles map work to models, and each agent knows what it has cost. */
import { type Backend, claudeCli, createTroupe } from '../src/index.ts';

const gateway = 'You fetch data. Return it as raw JSON. Never analyze, never interpret, never suggest.';

export async function main(print: (text: string) => void, claude: Backend = claudeCli()): Promise<void> {
  const roles = {
    orchestrator: { model: 'sonnet', system: 'You route tasks and sum up. Be brief.' },
    fetcher: { model: 'haiku', system: gateway },
  };
  const troupe = createTroupe({ backends: { claude }, roles });
  const fetcher = await troupe.spawn('fetcher', { role: 'fetcher' });
  const orchestrator = await troupe.spawn('orchestrator', { role: 'orchestrator' });
  const { text: data } = await fetcher.ask('Stock of "Emma" as {"title": <text>, "count": <number>}. Nothing else.');
  const { text: answer } = await orchestrator.ask(`Shall we order more? ${data}`);
  print(`${answer}\n`);
  for (const { name, model, costUsd = 0 } of troupe.agents()) print(`${name} on ${model}: $${costUsd.toFixed(6)}\n`);
  await troupe.close();
}
