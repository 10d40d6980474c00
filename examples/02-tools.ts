/** Tools: the model asks for them, troupe checks the arguments and runs them. The scripted backend plays the model. */
import { z } from 'zod';
import { createTroupe, scripted, tool } from '../src/index.ts';

const price = tool({
  name: 'price',
  description: 'The price of a fruit in cents.',
  parameters: z.object({ fruit: z.enum(['apple', 'pear']) }),
  execute: ({ fruit }) => (fruit === 'apple' ? 40 : 55),
});

export async function main(print: (text: string) => void): Promise<void> {
  const calls = ['apple', 'pear', 'stone'].map((fruit) => ({ name: 'price', arguments: { fruit } }));
  const backend = scripted([{ toolCalls: calls }, { text: 'An apple and a pear cost 95 cents. I know no stone.' }]);
  const troupe = createTroupe({ backends: { backend } });
  const agent = await troupe.spawn('shopkeeper', { tools: [price] });
  const reply = await agent.ask('What do an apple, a pear and a stone cost?');
  for (const message of agent.messages()) print(`${message.role}: ${message.content}\n`);
  print(`${reply.steps} steps\n`);
  await troupe.close();
}
