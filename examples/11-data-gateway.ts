/**
 * The data gateway: a cheap Claude reaches the data by MCP and gives back nothing but JSON of one shape; a model of this
 * machine does the thinking. Then the bill, and what one expensive model would take for the same tokens.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type Attempt, type Backend, billOf, claudeCli, createTroupe, ollama } from '../src/index.ts';

const folder = fileURLToPath(new URL('wallet', import.meta.url));
const server = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-filesystem/dist/index.js');
const files = { command: process.execPath, args: [server, folder], tools: ['read_text_file'] };

const gateway = `You are a data fetching agent. Your ONLY job is to call MCP tools and return raw data. Never analyze. Never
interpret. Never suggest. Return data in the exact format requested. Minimize output tokens.`;
const validators = z.array(z.object({ name: z.string(), share: z.number(), commission: z.number() }));
const wallet = z.object({ total_aum: z.number(), staked: z.number(), rewards: z.number(), validators });
const questions = ['Is the stake spread well?', 'What do the commissions cost?', 'Name the largest risk.', 'Sum up.'];

export async function main(
  print: (text: string) => void,
  cheap: Backend = claudeCli({ model: 'haiku' }),
  local: Backend = ollama(),
  expensive = 'sonnet',
): Promise<void> {
  const troupe = createTroupe({ backends: { cheap, local } });
  const fetcher = await troupe.spawn('fetcher', { backend: 'cheap', system: gateway, mcp: { files } });
  const analyst = await troupe.spawn('analyst', { backend: 'local', system: 'You analyse wallets. Be brief.' });
  const prompt = `Call read_text_file for ${folder}/pb1xyz.json. Return ONLY raw JSON. No interpretation.`;
  const fetched = await fetcher.ask(prompt, { schema: wallet });
  const thought: Attempt[] = [];
  for (const [index, question] of questions.entries()) {
    const data = index === 0 ? `${JSON.stringify(fetched.output)}\n` : '';
    const reply = await analyst.ask(`${data}${question}`);
    thought.push(...reply.attempts);
    print(`${question} ${reply.text}\n`);
  }
  await troupe.close();

  const calls = [...fetched.attempts, ...thought];
  const instead = printBill(print, `${expensive} for the same tokens`, expensive, calls);
  printBill(print, `fetcher on ${cheap.model}`, cheap.model, fetched.attempts);
  print(`analyst on ${local.model}: free\n`);
  const spent = fetched.costUsd ?? Number.NaN;
  print(`$${spent.toFixed(6)} instead of $${instead.toFixed(6)}: ${((1 - spent / instead) * 100).toFixed(1)} % less\n`);
}

/** Prints tokens × price for each kind of token; gives the sum, which is no number when a price or usage is not known. */
function printBill(print: (text: string) => void, title: string, model: string, calls: readonly Attempt[]): number {
  const usages = calls.map(({ usage }) => usage);
  const bill = billOf(usages, model);
  print(`${title}\n`);
  for (const { what, tokens, priceUsd, costUsd } of bill ?? [])
    print(`  ${tokens} ${what} × $${priceUsd} / 1,000,000 = $${costUsd.toFixed(6)}\n`);
  return bill?.reduce((sum, { costUsd }) => sum + costUsd, 0) ?? Number.NaN;
}
