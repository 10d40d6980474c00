/** A test of your own policy: which backend a task gets, and what happens when that one fails, by a real server that fails. */
import assert from 'node:assert/strict';
import { type ChoicePolicy, createTroupe, openai } from '../src/index.ts';
import { fakeServer } from '../src/testing/index.ts';

const policy: ChoicePolicy = {
  tiers: [
    { above: 0.5, backends: ['strong'] },
    { above: 0, backends: ['quick'] },
  ],
  refuse: ({ name }, { task }) =>
    name === 'quick' && task.includes('contract') ? 'contracts need the strong one' : undefined,
};

export async function main(print: (text: string) => void): Promise<void> {
  const server = await fakeServer([{ text: 'Hallo.' }, { fault: '503' }, { text: 'Clause 4 is void.' }]);
  const [quick, strong, spare] = ['quick', 'strong', 'spare'].map((model) =>
    openai({ endpoint: server.endpoint, model }),
  );
  assert(quick && strong && spare);
  const troupe = createTroupe({ backends: { quick, strong, spare }, choice: policy });
  const clerk = await troupe.spawn('clerk', { backend: 'auto', task: 'Translate "hello".' });
  const easy = await clerk.ask('Translate "hello".');
  assert.equal(easy.attempts[0]?.backend, 'quick');
  const task = 'Check this contract.';
  const lawyer = await troupe.spawn('lawyer', { backend: 'auto', task, fallback: ['spare'], maxRetries: 0 });
  const { attempts } = await lawyer.ask(task);
  await troupe.close();
  await server.close();
  for (const { backend, error } of attempts) print(`${backend}: ${error?.code ?? 'answered'}\n`);
}
