/**
 * One generalist against five experts, on the same task: what each sends, what that costs, and how the figures come about.
 * The answers are written down beforehand: this proves the arithmetic and says nothing of quality.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Attempt, type Backend, billOf, createTroupe, requestMessages } from '../src/index.ts';

const folder = fileURLToPath(new URL('sample-project', import.meta.url));

/** The files that each expert needs. */
const packs = {
  security: ['src/auth.js', 'src/backup.js', 'src/covers.js', 'src/server.js'],
  performance: ['src/books.js', 'src/reminders.js', 'src/statistics.ts'],
  style: ['src/fees.ts', 'src/loans.ts', 'src/page.js'],
  docs: ['README.md', 'package.json', 'src/config.ts'],
  tests: ['src/dates.ts', 'test/dates.test.js'],
};

/** Answers what is written down and counts a token for four characters, of all that a call sends. */
const counting: Backend = {
  kind: 'counting',
  model: 'sonnet',
  info: { inference: 'embedded', price: 'per-token', capabilities: [], setup: 'It is in this file.' },
  async call(request) {
    const sent = requestMessages(request).map(({ content }) => content);
    const questions = sent.at(-1)?.match(/Review its/g)?.length ?? 0;
    const text = questions === 0 ? 'Mend the security first.' : 'Three findings, each with its line.'.repeat(questions);
    const usage = { inputTokens: tokensOf(sent.join('')), outputTokens: tokensOf(text) };
    const unknown = { cacheReadTokens: undefined, cacheWriteTokens: undefined };
    const finishReason = { unified: 'stop', raw: undefined } as const;
    return { text, toolCalls: [], finishReason, usage: { ...usage, ...unknown }, costUsd: undefined };
  },
};

export async function main(print: (text: string) => void, claude = 'sonnet', cheap = 'haiku'): Promise<void> {
  const troupe = createTroupe({ backends: { counting }, defaults: { backend: 'counting', model: claude } });
  const everything = textOf(filesIn(folder));
  const questions = Object.keys(packs).map((concern) => `Review its ${concern}.`);

  const generalist = await troupe.spawn('generalist', { system: 'You review code.' });
  const first = await generalist.ask(`${everything}${questions[0]}`);
  const alone = [...first.attempts];
  for (const question of questions.slice(1)) alone.push(...(await generalist.ask(question)).attempts);
  const hasty = await troupe.spawn('hasty', { system: 'You review code.' });
  const { attempts: atOnce } = await hasty.ask(`${everything}${questions.join(' ')}`);

  const narrow = Object.entries(packs).map(async ([concern, files]) => {
    const expert = await troupe.spawn(concern, { model: cheap, system: `You review ${concern}.` });
    return expert.ask(`${textOf(files)}Review its ${concern}.`);
  });
  const replies = await Promise.all(narrow);
  const experts = replies.flatMap(({ attempts }) => attempts);
  const orchestrator = await troupe.spawn('orchestrator', { system: 'You lead a review.' });
  const { attempts: summary } = await orchestrator.ask(`Sum up:\n${replies.map(({ text }) => text).join('\n')}`);
  const account = troupe.agents().reduce((sum, { costUsd = Number.NaN }) => sum + costUsd, 0);
  await troupe.close();

  print('The answers are written down beforehand, and a token is taken to be four characters: this proves\n');
  print('arithmetic, not quality. Whether narrow experts on a cheap model find as much is another question.\n');
  const bill = (title: string, ...parts: readonly Part[]) => printBill(print, title, parts);
  const aloneUsd = bill(`1 generalist on ${claude}: five questions, all files sent again with each`, [alone, claude]);
  const ratio = (usd: number) => {
    const saved = ((1 - usd / aloneUsd) * 100).toFixed(1);
    print(`  instead of $${aloneUsd.toFixed(6)}: ${saved} % less, 1 : ${(aloneUsd / usd).toFixed(1)}\n`);
  };
  ratio(bill(`2 the same, asked all five at once`, [atOnce, claude]));
  ratio(
    bill(`3 five experts, each with its files, and an orchestrator on ${claude}`, [[...experts, ...summary], claude]),
  );
  ratio(bill(`4 the experts on ${cheap}, the orchestrator on ${claude}`, [experts, cheap], [summary, claude]));
  ratio(bill(`5 the experts on a model of this machine, free, the orchestrator on ${claude}`, [summary, claude]));
  print(`1, 2 and 4 were run; the troupe's own account of them: $${account.toFixed(6)}\n`);
}

/** Calls, and the model at whose price they are billed. */
type Part = readonly [calls: readonly Attempt[], model: string];

/** Prints tokens × price for each kind of token, and the sum, which it gives. */
function printBill(print: (text: string) => void, title: string, parts: readonly Part[]): number {
  print(`${title}\n`);
  let sumUsd = 0;
  for (const [calls, model] of parts) {
    const usages = calls.map(({ usage }) => usage);
    for (const { what, tokens, priceUsd, costUsd } of billOf(usages, model) ?? []) {
      print(`  ${model}: ${tokens} ${what} × $${priceUsd} / 1,000,000 = $${costUsd.toFixed(6)}\n`);
      sumUsd += costUsd;
    }
  }
  print(`  sum $${sumUsd.toFixed(6)}\n`);
  return sumUsd;
}

function filesIn(path: string): string[] {
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => /\.\w+$/.test(name)).sort();
}

function textOf(files: readonly string[]): string {
  return files.map((name) => `${name}\n${readFileSync(join(folder, name), 'utf8')}\n`).join('');
}

function tokensOf(text: string): number {
  return Math.ceil(text.length / 4);
}
