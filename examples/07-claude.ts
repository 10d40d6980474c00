/** Phase 1, Claude alone: spawn, ask, fork. One process of Claude Code for each agent; a fork goes on from where it was cut. */
import { type Backend, claudeCli, createTroupe } from '../src/index.ts';

export async function main(print: (text: string) => void, claude: Backend = claudeCli()): Promise<void> {
  const troupe = createTroupe({ backends: { claude } });
  const planner = await troupe.spawn('planner', { system: 'You plan small web services. Answer in one line.' });
  await planner.ask('We build a book store.');
  const rival = await planner.fork('rival');
  const replies = await Promise.all([planner.ask('Choose SQL.'), rival.ask('Choose files.')]);
  for (const { agent, text, costUsd } of replies) print(`${agent}: ${text} ($${costUsd?.toFixed(6)})\n`);
  await troupe.close();
}
