/**
 * A real HTTP server in which the scripted model of model.ts runs. It speaks every protocol, each at its own route, and
 * keeps books: what it was sent, what was wrong with that, what its answers would have cost.
 */
import { type Exchange, type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { anthropicDialect } from './anthropic-dialect.ts';
import type { Body, Dialect } from './dialect.ts';
import {
  directiveOf,
  type Embedded,
  type EmbeddingDialect,
  embeddingDialects,
  tokensOf,
  vectorOf,
} from './embedding-dialects.ts';
import { answer, type Failure, type Heard, type Said, type Tokens } from './model.ts';
import { ollamaDialect } from './ollama-dialect.ts';
import { openAiDialect } from './openai-dialect.ts';
import { violations } from './rules.ts';

export interface ModelServerOptions {
  /** Writes every answer byte by byte, so that no character is whole. Default false. */
  readonly bytewise?: boolean;
  /** The model. Default: that of model.ts. */
  readonly model?: (heard: Heard) => Said;
}

export interface ModelServer extends Pick<FaultServer, 'url' | 'counts' | 'when' | 'close'> {
  /** What it was sent, in order. */
  readonly heard: readonly Heard[];
  /** What it was asked to make vectors of, in order. */
  readonly embedded: readonly Embedded[];
  /** What was wrong with it, each with the number of its request. */
  readonly violations: readonly string[];
  /** What its whole answers took. */
  readonly ledger: Readonly<Ledger>;
  /** Resolves as soon as so many answers are held back, or hang. */
  waiting(count: number): Promise<void>;
  /** Lets go what is held back now. */
  release(): void;
}

export interface Ledger extends Tokens {
  /** By Anthropic's list prices, whoever asked. */
  readonly usd: number;
}

/** The model that it lists. */
export const listedModel = 'contract-model';

/** Starts one. */
export async function modelServer(options: ModelServerOptions = {}): Promise<ModelServer> {
  const { bytewise = false, model = answer } = options;
  const heard: Heard[] = [];
  const embedded: Embedded[] = [];
  const wrong: string[] = [];
  const held = new Set<() => void>();
  const watchers = new Set<() => void>();
  let ledger: Ledger = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, usd: 0 };
  const wait = (leaves: Promise<unknown>, forEver: boolean) => {
    const entry = { resolve: () => {} };
    const released = new Promise<void>((resolve) => {
      entry.resolve = forEver ? () => {} : resolve;
    });
    held.add(entry.resolve);
    for (const watcher of [...watchers]) watcher();
    return Promise.race([released, leaves]).finally(() => held.delete(entry.resolve));
  };
  const speak = async (exchange: Exchange, dialect: Dialect, body: Body) => {
    const problems: string[] = [];
    const told = dialect.hear(body, problems);
    heard.push(told);
    wrong.push(...[...problems, ...violations(told)].map((problem) => `request ${heard.length}: ${problem}`));
    const said = model(told);
    if (said.fails !== undefined) return refuse(exchange, dialect, said.fails, told.model);
    await deliver({
      ...{ exchange, dialect, body, said, bytewise, wait },
      enter: () => {
        ledger = entered(ledger, said.tokens, told.model);
      },
    });
  };
  const embed = async (exchange: Exchange, dialect: EmbeddingDialect, body: Body) => {
    const problems: string[] = [];
    const told = dialect.hear(body, problems);
    embedded.push(told);
    wrong.push(...problems.map((problem) => `request ${embedded.length} for vectors: ${problem}`));
    const { fails, hangs } = directiveOf(told);
    if (fails !== undefined) return refuse(exchange, dialect, fails, told.model);
    if (hangs) return void (await wait(new Promise((resolve) => exchange.response.once('close', resolve)), true));
    exchange.reply(200, dialect.whole(told.texts.map(vectorOf), tokensOf(told.texts)));
  };
  const server = await faultServer({
    ok: async (exchange) => {
      const { method, path, body } = exchange.request;
      const route = `${method} ${path.split('?')[0]}`;
      const dialect = dialects[route];
      if (dialect !== undefined && body !== undefined) return speak(exchange, dialect, body);
      const vectors = embeddingDialects[route];
      if (vectors !== undefined && body !== undefined) return embed(exchange, vectors, body);
      if (route === 'POST /v1/messages/count_tokens' && body !== undefined)
        return exchange.reply(200, { input_tokens: model(anthropicDialect.hear(body, [])).tokens.input });
      const facts = serverFacts[route];
      exchange.reply(facts === undefined ? 404 : 200, facts ?? { error: { message: `no route ${route}` } });
    },
  });
  return {
    ...{
      url: server.url,
      counts: server.counts,
      when: server.when,
      close: server.close,
      heard,
      embedded,
      violations: wrong,
    },
    get ledger() {
      return ledger;
    },
    waiting: (count) =>
      new Promise((resolve) => {
        const watcher = () => {
          if (held.size < count) return;
          watchers.delete(watcher);
          resolve();
        };
        watchers.add(watcher);
        watcher();
      }),
    release: () => {
      for (const letGo of held) letGo();
    },
  };
}

const dialects: Readonly<Record<string, Dialect>> = {
  'POST /v1/chat/completions': openAiDialect,
  'POST /api/chat': ollamaDialect,
  'POST /v1/messages': anthropicDialect,
};

/** What a server says of itself and of its models, at the routes of all kinds of servers. */
const serverFacts: Readonly<Record<string, object>> = {
  'GET /v1/models': { object: 'list', data: [{ id: listedModel, object: 'model', meta: { n_ctx: 8192 } }] },
  'GET /api/tags': { models: [{ name: listedModel, model: listedModel }] },
  'POST /api/show': {
    capabilities: ['completion', 'tools'],
    model_info: { 'general.architecture': 'llama', 'llama.context_length': 8192 },
  },
  'GET /api/ps': { models: [{ name: listedModel, model: listedModel, context_length: 8192 }] },
  'GET /api/version': { version: '0.31.0' },
  'GET /props': { total_slots: 4, default_generation_settings: { n_ctx: 8192 } },
};

function refuse({ reply }: Exchange, dialect: Pick<Dialect, 'refuse'>, failure: Failure, model: string): void {
  const { status, body } = dialect.refuse(failure, model);
  reply(status, body);
}

interface Delivery {
  readonly exchange: Exchange;
  readonly dialect: Dialect;
  readonly body: Body;
  readonly said: Said;
  readonly bytewise: boolean;
  /** Waits until the test says so, or the client has left. */
  readonly wait: (leaves: Promise<unknown>, forEver: boolean) => Promise<unknown>;
  /** Enters the answer in the books: before its end is sent, so that whoever has all of it finds it there. */
  readonly enter: () => void;
}

/** Puts an answer on the wire, until its client leaves. */
async function deliver({ exchange, dialect, body, said, bytewise, wait, enter }: Delivery): Promise<void> {
  const { response, head } = exchange;
  const left = new Promise((resolve) => response.once('close', resolve));
  const streams = dialect.wantsStream(body);
  const whole = { begin: [], pieces: [], end: [JSON.stringify(dialect.whole(said, body))] };
  const { begin, pieces, end } = streams ? dialect.stream(said, body) : whole;
  const write = async (frame: string) => {
    for (const piece of bytewise ? singleBytes(frame) : [frame]) if (!(await exchange.write(piece))) return false;
    return true;
  };
  if (said.pace === 'hang' && pieces.length === 0) return void (await wait(left, true));
  head(200, { 'content-type': streams ? dialect.contentType : 'application/json' });
  for (const frame of begin) await write(frame);
  const kept = said.pace === 'held' ? 1 : pieces.length;
  for (const frame of pieces.slice(0, kept)) {
    if (!(await write(frame))) return;
  }
  if (said.pace === 'hang' || said.pace === 'held') await wait(left, said.pace === 'hang');
  for (const frame of pieces.slice(kept)) if (!(await write(frame))) return;
  if (response.destroyed) return;
  enter();
  for (const frame of end) await write(frame);
  response.end();
}

function singleBytes(frame: string): Uint8Array[] {
  const bytes = Buffer.from(frame);
  return Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));
}

/** USD per million tokens, in and out. What is read from the cache costs a twentieth of the input price, a write 5/4. */
const prices: readonly (readonly [RegExp, input: number, output: number])[] = [
  [/sonnet/, 2, 10],
  [/opus/, 4, 20],
];

function entered(ledger: Ledger, tokens: Tokens, model: string): Ledger {
  const [, input = 0, output = 0] = prices.find(([name]) => name.test(model)) ?? [];
  const fresh = tokens.input - tokens.cacheRead - tokens.cacheWrite;
  const inputs = fresh + tokens.cacheRead / 20 + tokens.cacheWrite * 1.25;
  return {
    input: ledger.input + tokens.input,
    output: ledger.output + tokens.output,
    cacheRead: ledger.cacheRead + tokens.cacheRead,
    cacheWrite: ledger.cacheWrite + tokens.cacheWrite,
    usd: ledger.usd + (inputs * input + tokens.output * output) / 1e6,
  };
}
