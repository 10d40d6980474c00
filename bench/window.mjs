/** A chat of 2,000 turns with a window: what an ask costs must not depend on how much was said before. */
import { median, timed } from './measure.mjs';
import { answerOf } from './server.mjs';

const system = 'You are a careful assistant. Answer in one line and say what you are not sure of.';
const question = 'Is everything all right with the service today, or should somebody look at it before the evening?';

const turns = 2_000;
/** Turns that are timed together. The first of them is not counted: it is before the first compression. */
const blockTurns = 100;
/** About 40 turns; the window then leaves 20. */
const maxTokens = 4_000;

/**
 * CPU microseconds for each ask, by blocks of turns: the least of the rounds, since whatever else the machine does only adds.
 * @param {{ library: object, strategies: object, url: string, quick: boolean }} environment
 */
export async function measureWindow({ library: { createTroupe, openai }, strategies, url, quick }) {
  const compression = { maxTokens, strategy: strategies.slidingWindow() };
  const rounds = [];
  let compressions = 0;
  for (let round = quick ? 0 : -1; round < (quick ? 1 : 7); round += 1) {
    const troupe = createTroupe({ backends: { bench: openai({ endpoint: url, model: 'window', apiKey: 'none' }) } });
    compressions = 0;
    troupe.on('compressed', () => {
      compressions += 1;
    });
    const agent = await troupe.spawn('agent', { system, compression });
    const blocks = [];
    for (let turn = 0; turn < turns; turn += blockTurns) {
      const { cpu } = await timed(async () => {
        for (let index = 0; index < blockTurns; index += 1) check(await agent.ask(question));
      });
      blocks.push(cpu / blockTurns);
    }
    if (agent.messages().length !== 2 * turns + 1) throw new Error('The log is not whole.');
    await troupe.close();
    if (round >= 0) rounds.push(blocks);
  }
  const blocksUs = rounds[0].map((_, block) => Math.min(...rounds.map((blocks) => blocks[block]))).slice(1);
  const usualUs = median(blocksUs);
  const furthest = Math.max(...blocksUs.map((us) => Math.max(us / usualUs, usualUs / us)));
  return { turns, blockTurns, compressions, blocksUs, usualUs, furthest, growth: blocksUs.at(-1) / blocksUs[0] };
}

function check({ text }) {
  if (text.length !== answerOf('window').length) throw new Error(`A wrong answer: ${text.length} characters.`);
}
