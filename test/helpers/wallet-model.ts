/** The model of examples/11-data-gateway.ts: it fetches what it is asked for, gives the shape that is wanted, or thinks aloud. */
import type { Heard, Said } from '../contract/model.ts';

const thoughts = [
  'No: north holds 71 % of the stake, and one validator that fails would cost most of the rewards.',
  'North takes 5 % and south 12 %, weighted by stake about 7 % of what is earned.',
  'The largest risk is that a single validator is slashed or goes offline for long.',
  'A sound wallet with one weak spot: move about 20 % of the stake from north to a third validator with a low commission.',
];

/** Answers a request. A token is four characters. */
export function walletModel(heard: Heard): Said {
  const { messages, tools } = heard;
  const spoken = wordsOf(heard);
  const calls = 'call' in spoken ? [spoken.call] : [];
  const pieces = 'text' in spoken ? [spoken.text] : [];
  const input = tokensOf([heard.system, messages, tools, heard.format ?? '']);
  return { pieces, calls, tokens: { input, output: tokensOf(spoken), cacheRead: 0, cacheWrite: 0 } };
}

type Words = { readonly text: string } | { readonly call: Said['calls'][number] };

function wordsOf({ messages, tools }: Heard): Words {
  const fetching = tools.find(({ name }) => name.endsWith('read_text_file'));
  if (fetching === undefined)
    return { text: thoughts[messages.filter(({ role }) => role === 'assistant').length] ?? '' };
  const results = messages.filter(({ role }) => role === 'tool');
  const path = /\S+\.json/.exec(messages[0]?.text ?? '')?.[0];
  if (results.length === 0) return { call: { name: fetching.name, arguments: { path } } };
  const wallet = picked(results[0]?.text ?? '');
  const form = tools.find(({ name }) => name === 'StructuredOutput');
  if (form !== undefined && results.length === 1) return { call: { name: form.name, arguments: wallet } };
  return { text: JSON.stringify(wallet) };
}

/** What is asked for of a file that a tool has read. */
function picked(result: string): object {
  const text: string = result.includes('"content"') ? JSON.parse(result).content : result;
  const { total_aum, staked, rewards, validators } = JSON.parse(text);
  return { total_aum, staked, rewards, validators };
}

/** Wherever the example lies on the disk, and whatever its calls are numbered, it takes the same. */
function tokensOf(value: unknown): number {
  const text = JSON.stringify(value).replaceAll(/\/[^\s"]*\/wallet\//g, 'wallet/');
  return Math.ceil(text.replaceAll(/"(id|callId)":"[^"]*"/g, '"$1":""').length / 4);
}
