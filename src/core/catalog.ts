/**
 * What is known of each kind of backend, as data: where its model runs, what that costs, what it takes to have one.
 * `openai()` and its like, `troupe doctor` and the README's tables are made from these rows, so that each fact is said once.
 */

export type Inference = 'cloud' | 'local' | 'embedded';

export type Capability = 'tools' | 'streaming' | 'sessions' | 'embeddings' | 'structured-output' | 'mcp';

/** What speaks for one backend and against another. */
export interface TradeOffs {
  /** Whether the machine of the model needs a GPU. */
  readonly gpu: 'no' | 'helps' | 'yes';
  readonly latency: 'low' | 'medium';
  readonly privacy: 'data leaves' | 'stays local';
  readonly quality: 'state of the art' | 'good' | 'rules only' | 'none';
  readonly bestFor: string;
}

/** One kind of backend. */
export interface BackendRow extends TradeOffs {
  readonly what: string;
  readonly inference: Inference;
  readonly price: 'free' | 'per-token';
  /** What it can do, whatever the model; `embeddings` when it is given a model for them. */
  readonly capabilities: readonly Capability[];
  /** Where its server usually is; undefined when there is none to connect to. */
  readonly endpoint: string | undefined;
  /** It cannot be used without a key at its usual place. */
  readonly requiresKey: boolean;
  /** The environment variables that configure it. */
  readonly variables: {
    readonly endpoint?: string;
    readonly apiKey?: string;
    readonly authToken?: string;
    readonly model?: string;
  };
  /** The model when none is named; undefined: the first that the server lists, or that of the backend inside. */
  readonly model: string | undefined;
  /** The model for embeddings at its usual place when none is named; absent: it makes none then. */
  readonly embeddingModel?: string;
  /** How to get it, in one sentence. */
  readonly setup: string;
}

const overHttp = ['tools', 'streaming', 'structured-output'] as const;
const withEmbeddings = [...overHttp, 'embeddings'] as const;
const cloud = {
  inference: 'cloud',
  price: 'per-token',
  gpu: 'no',
  latency: 'low',
  privacy: 'data leaves',
  quality: 'state of the art',
} as const;
const local = {
  inference: 'local',
  price: 'free',
  capabilities: withEmbeddings,
  requiresKey: false,
  gpu: 'helps',
  latency: 'medium',
  privacy: 'stays local',
  quality: 'good',
} as const;
const inside = {
  inference: 'embedded',
  price: 'free',
  capabilities: ['tools', 'streaming'],
  endpoint: undefined,
  requiresKey: false,
  variables: {},
  gpu: 'no',
  latency: 'low',
  privacy: 'stays local',
} as const;

/** Every kind of backend that is built in, by its name. */
export const backendCatalog = {
  claude: {
    ...cloud,
    what: 'Claude Code, its command line as a child process',
    capabilities: ['tools', 'streaming', 'sessions', 'structured-output', 'mcp'],
    endpoint: undefined,
    requiresKey: false,
    variables: { endpoint: 'ANTHROPIC_BASE_URL', apiKey: 'ANTHROPIC_API_KEY', model: 'ANTHROPIC_MODEL' },
    model: 'sonnet',
    bestFor: 'complex reasoning, orchestration, MCP servers',
    setup: 'Install Claude Code and log in once with `claude`, or set ANTHROPIC_API_KEY.',
  },
  anthropic: {
    ...cloud,
    what: "Anthropic's Messages API, or a server that speaks it",
    capabilities: overHttp,
    endpoint: 'https://api.anthropic.com',
    requiresKey: true,
    variables: {
      endpoint: 'ANTHROPIC_BASE_URL',
      apiKey: 'ANTHROPIC_API_KEY',
      authToken: 'ANTHROPIC_AUTH_TOKEN',
      model: 'ANTHROPIC_MODEL',
    },
    model: 'claude-sonnet-4-5',
    bestFor: 'complex reasoning, orchestration',
    setup: 'Set ANTHROPIC_API_KEY, or give the `endpoint` of any server that speaks the Messages API.',
  },
  openai: {
    ...cloud,
    what: 'OpenAI, or any server that speaks its chat completions',
    capabilities: withEmbeddings,
    endpoint: 'https://api.openai.com',
    requiresKey: true,
    variables: { endpoint: 'LLM_ENDPOINT', apiKey: 'OPENAI_API_KEY', model: 'LLM_MODEL' },
    model: 'gpt-4o-mini',
    embeddingModel: 'text-embedding-3-small',
    bestFor: 'general tasks',
    setup: 'Set OPENAI_API_KEY, or LLM_ENDPOINT for any server that speaks the chat completions protocol.',
  },
  ollama: {
    ...local,
    what: 'Ollama, on its native API, so that the context size holds',
    endpoint: 'http://127.0.0.1:11434',
    variables: { endpoint: 'OLLAMA_HOST', model: 'OLLAMA_MODEL' },
    model: 'llama3',
    bestFor: 'development, testing, routine work',
    setup: 'Install Ollama from https://ollama.com and run `ollama pull llama3`, or set OLLAMA_HOST.',
  },
  llamaCpp: {
    ...local,
    what: "llama.cpp's `llama-server`",
    endpoint: 'http://127.0.0.1:8080',
    variables: { endpoint: 'LLAMA_CPP_ENDPOINT', apiKey: 'LLAMA_API_KEY' },
    model: undefined,
    bestFor: 'local production',
    setup: 'Run `llama-server --model model.gguf --jinja`, or set LLAMA_CPP_ENDPOINT.',
  },
  vllm: {
    ...local,
    what: 'vLLM',
    endpoint: 'http://127.0.0.1:8000',
    variables: { endpoint: 'VLLM_ENDPOINT', apiKey: 'VLLM_API_KEY' },
    model: undefined,
    gpu: 'yes',
    latency: 'low',
    bestFor: 'high throughput, many agents at once',
    setup: 'Run `vllm serve <model>`, with a tool call parser if tools are wanted, or set VLLM_ENDPOINT.',
  },
  lmStudio: {
    ...local,
    what: "LM Studio's server",
    endpoint: 'http://127.0.0.1:1234',
    variables: { endpoint: 'LM_STUDIO_ENDPOINT', apiKey: 'LM_STUDIO_API_KEY' },
    model: undefined,
    bestFor: 'trying models on a desktop',
    setup: 'Load a model in LM Studio and run `lms server start`, or set LM_STUDIO_ENDPOINT.',
  },
  localAi: {
    ...local,
    what: 'LocalAI',
    endpoint: 'http://127.0.0.1:8080',
    variables: { endpoint: 'LOCALAI_ENDPOINT', apiKey: 'LOCALAI_API_KEY' },
    model: undefined,
    bestFor: 'one server for many kinds of model',
    setup: 'Run `local-ai run <model>`, or set LOCALAI_ENDPOINT.',
  },
  offline: {
    ...inside,
    what: 'rules inside this process, no language model',
    model: 'rules',
    quality: 'rules only',
    bestFor: 'reviews where nothing may be installed or leave',
    setup: 'Nothing to set up: rules inside this process, no language model.',
  },
  scripted: {
    ...inside,
    what: 'answers written down beforehand',
    model: 'scripted-model',
    quality: 'none',
    bestFor: 'tests',
    setup: 'For tests: give it the steps that it shall answer.',
  },
  // Where it runs and what it costs is that of the backend inside; the row holds for a local one.
  subprocess: {
    ...local,
    what: 'any of the others in a process of its own',
    capabilities: overHttp,
    endpoint: undefined,
    variables: {},
    model: undefined,
    bestFor: 'isolation: one agent, one process to watch and to kill',
    setup: 'Nothing more to install: name the `backend` that shall run in the process, and give what that one needs.',
  },
} as const satisfies Readonly<Record<string, BackendRow>>;

/** The built-in name of a kind of backend. */
export type BackendKind = keyof typeof backendCatalog;

/** A set-up that has proved itself. */
export interface RecommendedSetup {
  readonly purpose: string;
  readonly backends: readonly BackendKind[];
  readonly why: string;
}

/** Which backend for what. */
export const recommendedSetups: readonly RecommendedSetup[] = [
  { purpose: 'development and testing', backends: ['ollama'], why: 'free, easy to set up' },
  { purpose: 'local production', backends: ['llamaCpp'], why: 'one model, a bounded number of slots, no surprises' },
  { purpose: 'an orchestrator', backends: ['claude', 'anthropic'], why: 'it needs complex reasoning' },
  { purpose: 'its workers', backends: ['ollama', 'llamaCpp'], why: 'routine tasks, each with a narrow context' },
];
