/**
 * host.mjs <folder of the built package> <endpoint> <mark> <kind>…: agents whose processes obey nothing and have
 * grandchildren that obey nothing, each with MARK in its environment: `claude`, amid an answer, and `mcp`, between two calls.
 * Says `ready`, then only waits to be killed.
 */
import { fileURLToPath } from 'node:url';

const [, , dist, endpoint, mark, ...kinds] = process.argv;
const { claudeCli, createTroupe, openai } = await import(`${dist}/src/index.js`);
const fixture = (name) => fileURLToPath(new URL(`../fixtures/${name}.mjs`, import.meta.url));

const env = { MARK: mark, HOME: process.env.TROUPE_STATE_DIR, FAKE_CLAUDE: 'ignore-term' };
const claude = claudeCli({
  ...{ command: process.execPath, args: [fixture('claude/fake-claude')], endpoint, apiKey: 'none', env },
});
const troupe = createTroupe({ backends: { claude, model: openai({ endpoint, apiKey: 'none' }) } });

if (kinds.includes('mcp')) {
  const s = { command: process.execPath, args: [fixture('mcp/bad-server'), 'deaf'], env: { MARK: mark } };
  const agent = await troupe.spawn('mcp', { backend: 'model', mcp: { s } });
  await agent.ask('call s__stubborn-grandchild {}');
}
if (kinds.includes('claude')) {
  const agent = await troupe.spawn('claude', { backend: 'claude' });
  for await (const { type } of agent.stream('hang after Well'))
    if (type === 'text-delta') process.stdout.write('ready\n');
} else process.stdout.write('ready\n');
