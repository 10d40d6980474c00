/**
 * Prompts and answers that give themselves away: an answer names its agent and its ask and ends in a hash of all before it,
 * and whoever knows the prompt can say what it must be to the letter.
 */
import { createHash } from 'node:crypto';

const words = ['Grüße', 'wörld', '🙂', 'naïve', '日本語', 'plain', 'Ωmega', 'end.'];
const promptForm = /^ask (\S+) of (\S+) in (\d+) pieces( with a tool)?$/;

/** The prompt of an ask. */
export function promptOf({ askId, agent, pieces, withTool }) {
  return `ask ${askId} of ${agent} in ${pieces} pieces${withTool ? ' with a tool' : ''}`;
}

/** What a prompt says; undefined when it is none. */
export function askIn(prompt) {
  const found = promptForm.exec(prompt);
  if (found === null) return undefined;
  const [, askId, agent, pieces, withTool] = found;
  return { askId, agent, pieces: Number(pieces), withTool: withTool !== undefined };
}

/** What the tool says when it runs for this ask. */
export function toolResultOf({ askId, agent }) {
  return `looked(${agent}|${askId})`;
}

/** The answer in the pieces in which a stream sends it; `seen` is the result of the tool. */
export function answerPieces({ askId, agent, pieces, withTool }, seen = '') {
  const said = [`[${agent}|${askId}]`, ...(withTool ? [` ${seen}`] : [])];
  for (let piece = 0; piece < pieces; piece += 1) said.push(` ${piece}:${words[piece % words.length]}`);
  const hash = createHash('sha256').update(said.join('')).digest('hex').slice(0, 24);
  return [...said, ` #${hash}`];
}

/** The answer that a correct reply has. */
export function answerOf(ask) {
  return answerPieces(ask, ask.withTool ? toolResultOf(ask) : '').join('');
}

/** What is wrong with a text that should be this ask's answer; undefined when nothing is. */
export function faultOfText(ask, text) {
  const right = answerOf(ask);
  if (text === right) return undefined;
  const heads = text.match(/\[[^\]|]+\|[^\]|]+\]/g) ?? [];
  if (heads.some((head) => head !== `[${ask.agent}|${ask.askId}]`)) return 'crossWired';
  if (heads.length > 1) return 'doubled';
  return right.startsWith(text) ? 'truncated' : 'altered';
}
