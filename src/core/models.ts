/**
 * What is known of models by their ids, as data: context, speed, best use and list prices.
 * Prices change: they are what was true at the date beside them.
 */
import type { BackendKind } from './catalog.ts';

/** USD for a million tokens. */
export interface ModelPrice {
  readonly inputUsd: number;
  readonly outputUsd: number;
  /** Of input that the provider had in its cache; absent when it is not known. */
  readonly cacheReadUsd?: number;
  /** Of input that it puts into its cache; absent when it is not known, or when that costs nothing more. */
  readonly cacheWriteUsd?: number;
  /** What holds instead for a prompt of more tokens than this. */
  readonly longPrompt?: { readonly aboveTokens: number; readonly inputUsd: number; readonly outputUsd: number };
  /** When it was so, as `2026-11` or `2026-11-24`; absent when it is not known. */
  readonly date?: string;
  /** Who says so. */
  readonly source?: string;
}

/** One model. */
export interface ModelInfo {
  readonly id: string;
  /** Other ids of the same model. */
  readonly aliases: readonly string[];
  /** The backends that may have it. */
  readonly backends: readonly BackendKind[];
  /** The largest context that it takes, prompt and answer together; undefined when it is not known. */
  readonly contextTokens: number | undefined;
  /** Whether it can call tools. */
  readonly tools: boolean;
  /** Compared with its kin; of local models on the same machine. */
  readonly speed: 'fastest' | 'fast' | 'slower';
  readonly bestFor: string;
  /** Absent when it is free, or not known. */
  readonly price?: ModelPrice;
}

/** The row of a model: by its id, an alias, or either with a date or a tag behind it, as in `qwen2.5:7b`. */
export function modelInfo(id: string): ModelInfo | undefined {
  return pick(byName, namesOf(id));
}

/** What a model may be known by, the most exact first: its id, without what stands before a slash, without its version. */
export function namesOf(id: string): readonly string[] {
  const name = id.slice(id.lastIndexOf('/') + 1);
  return [id, name, name.replace(version, '')];
}

/** What is kept under the first of these names that has something. */
export function pick<Value>(values: ReadonlyMap<string, Value>, names: readonly string[]): Value | undefined {
  const name = names.find((each) => values.has(each));
  return name === undefined ? undefined : values.get(name);
}

/** The known models that a kind of backend may have. */
export function modelsOf(kind: BackendKind): readonly ModelInfo[] {
  return modelCatalog.filter(({ backends }) => backends.includes(kind));
}

const version = /(?::[\w.-]+|[-@]\d{4}-?\d{2}-?\d{2}|-latest)$/;

const ofClaude = { backends: ['claude', 'anthropic'], tools: true } as const;
const ofOpenAi = { backends: ['openai'], tools: true, aliases: [] } as const;
const ofLocal = { backends: ['ollama', 'llamaCpp', 'vllm', 'lmStudio', 'localAi'], aliases: [] } as const;

const claudeCode2026 = { date: '2026-11', source: 'Claude Code 2.1' } as const;
const anthropic2025 = { date: '2025-09', source: "Anthropic's price list" } as const;
const anthropicMay2025 = { ...anthropic2025, date: '2025-05' } as const;
const openAi2025 = { date: '2025-06', source: "OpenAI's price list" } as const;
const openAi2026 = { ...openAi2025, date: '2026-05' } as const;

export const modelCatalog: readonly ModelInfo[] = [
  // Writes cost 1.25 of input, reads were computed from bills.
  {
    ...ofClaude,
    id: 'claude-haiku-5-5',
    aliases: ['haiku'],
    contextTokens: undefined,
    speed: 'fastest',
    bestFor: 'data fetching, simple routing',
    price: {
      ...claudeCode2026,
      inputUsd: 0.1,
      outputUsd: 0.5,
      cacheReadUsd: 0.01,
      cacheWriteUsd: 0.125,
      longPrompt: { aboveTokens: 100_000, inputUsd: 0.5, outputUsd: 2.5 },
    },
  },
  {
    ...ofClaude,
    id: 'claude-sonnet-5-5',
    aliases: ['sonnet'],
    contextTokens: 1_000_000,
    speed: 'fast',
    bestFor: 'general tasks, orchestration',
    price: { ...claudeCode2026, inputUsd: 2, outputUsd: 10, cacheReadUsd: 0.1, cacheWriteUsd: 2.5 },
  },
  {
    ...ofClaude,
    id: 'claude-opus-5-5',
    aliases: ['opus'],
    contextTokens: undefined,
    speed: 'slower',
    bestFor: 'complex reasoning, synthesis',
    price: { ...claudeCode2026, inputUsd: 4, outputUsd: 20, cacheReadUsd: 0.2, cacheWriteUsd: 5 },
  },
  {
    ...ofClaude,
    id: 'claude-fable-5-2',
    aliases: ['fable'],
    contextTokens: undefined,
    speed: 'slower',
    bestFor: 'the hardest questions',
    price: { ...claudeCode2026, inputUsd: 8, outputUsd: 40, cacheWriteUsd: 10 },
  },
  {
    ...ofClaude,
    id: 'claude-sonnet-4-5',
    aliases: [],
    contextTokens: 200_000,
    speed: 'fast',
    bestFor: 'general tasks, orchestration',
    price: { ...anthropic2025, inputUsd: 3, outputUsd: 15, cacheReadUsd: 0.3, cacheWriteUsd: 3.75 },
  },
  {
    ...ofClaude,
    id: 'claude-haiku-3-5-20241022',
    aliases: ['claude-3-5-haiku', 'claude-haiku-3-5'],
    contextTokens: 200_000,
    speed: 'fastest',
    bestFor: 'data fetching, simple routing',
    price: { ...anthropicMay2025, inputUsd: 0.8, outputUsd: 4, cacheReadUsd: 0.08, cacheWriteUsd: 1 },
  },
  {
    ...ofClaude,
    id: 'claude-sonnet-4-20250514',
    aliases: ['claude-sonnet-4', 'claude-sonnet-4-0'],
    contextTokens: 200_000,
    speed: 'fast',
    bestFor: 'general tasks, orchestration',
    price: { ...anthropicMay2025, inputUsd: 3, outputUsd: 15, cacheReadUsd: 0.3, cacheWriteUsd: 3.75 },
  },
  {
    ...ofClaude,
    id: 'claude-opus-4-20250514',
    aliases: ['claude-opus-4', 'claude-opus-4-0'],
    contextTokens: 200_000,
    speed: 'slower',
    bestFor: 'complex reasoning, synthesis',
    price: { ...anthropicMay2025, inputUsd: 15, outputUsd: 75, cacheReadUsd: 1.5, cacheWriteUsd: 18.75 },
  },
  {
    ...ofOpenAi,
    id: 'gpt-4o-mini',
    contextTokens: 128_000,
    speed: 'fastest',
    bestFor: 'routine work, experts with a narrow task',
    price: { ...openAi2025, inputUsd: 0.15, outputUsd: 0.6, cacheReadUsd: 0.075 },
  },
  {
    ...ofOpenAi,
    id: 'gpt-4o',
    contextTokens: 128_000,
    speed: 'fast',
    bestFor: 'general tasks',
    price: { ...openAi2025, inputUsd: 2.5, outputUsd: 10, cacheReadUsd: 1.25 },
  },
  {
    ...ofOpenAi,
    id: 'gpt-4.1-mini',
    contextTokens: 1_047_576,
    speed: 'fastest',
    bestFor: 'long prompts at a low price',
    price: { ...openAi2025, inputUsd: 0.4, outputUsd: 1.6, cacheReadUsd: 0.1 },
  },
  {
    ...ofOpenAi,
    id: 'gpt-4.1',
    contextTokens: 1_047_576,
    speed: 'fast',
    bestFor: 'code, long prompts',
    price: { ...openAi2025, inputUsd: 2, outputUsd: 8, cacheReadUsd: 0.5 },
  },
  {
    ...ofOpenAi,
    id: 'gpt-4',
    contextTokens: 8192,
    speed: 'slower',
    bestFor: 'what was made for it',
    price: { ...openAi2025, inputUsd: 30, outputUsd: 60 },
  },
  // Models of vectors: what is read is paid for, nothing is written.
  {
    ...ofOpenAi,
    id: 'text-embedding-3-small',
    contextTokens: 8192,
    tools: false,
    speed: 'fast',
    bestFor: 'embeddings',
    price: { ...openAi2026, inputUsd: 0.02, outputUsd: 0 },
  },
  {
    ...ofOpenAi,
    id: 'text-embedding-3-large',
    contextTokens: 8192,
    tools: false,
    speed: 'slower',
    bestFor: 'embeddings of many languages',
    price: { ...openAi2026, inputUsd: 0.13, outputUsd: 0 },
  },
  // Models of local servers: whoever runs them pays for no token. The context is what they were trained for.
  {
    ...ofLocal,
    id: 'llama3',
    contextTokens: 8192,
    tools: false,
    speed: 'fast',
    bestFor: 'chat, summaries',
  },
  {
    ...ofLocal,
    id: 'llama3.1',
    contextTokens: 131_072,
    tools: true,
    speed: 'fast',
    bestFor: 'general tasks, tools',
  },
  {
    ...ofLocal,
    id: 'llama3.2',
    contextTokens: 131_072,
    tools: true,
    speed: 'fastest',
    bestFor: 'small machines, simple routing',
  },
  {
    ...ofLocal,
    id: 'qwen2.5',
    contextTokens: 32_768,
    tools: true,
    speed: 'fast',
    bestFor: 'tools, structured answers',
  },
  {
    ...ofLocal,
    id: 'qwen2.5-coder',
    contextTokens: 32_768,
    tools: true,
    speed: 'fast',
    bestFor: 'code',
  },
  {
    ...ofLocal,
    id: 'qwen3',
    contextTokens: 40_960,
    tools: true,
    speed: 'slower',
    bestFor: 'reasoning, tools',
  },
  {
    ...ofLocal,
    id: 'gpt-oss',
    contextTokens: 131_072,
    tools: true,
    speed: 'slower',
    bestFor: 'reasoning, tools',
  },
  {
    ...ofLocal,
    id: 'mistral',
    contextTokens: 32_768,
    tools: true,
    speed: 'fast',
    bestFor: 'general tasks',
  },
  {
    ...ofLocal,
    id: 'gemma3',
    contextTokens: 131_072,
    tools: false,
    speed: 'fast',
    bestFor: 'writing, many languages',
  },
];

const byName = new Map(modelCatalog.flatMap((row) => [row.id, ...row.aliases].map((name) => [name, row] as const)));
