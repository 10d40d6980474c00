/**
 * Backends for local servers that speak OpenAI's chat completions, each a row of what is particular about it.
 * None of them ever reads `OPENAI_API_KEY`.
 */
import { backendCatalog } from '../../src/core/catalog.ts';
import type { Backend } from '../backend.ts';
import { llamaCppFacts, lmStudioFacts, vllmFacts } from '../wire/model-facts.ts';
import { type ChatServerOptions, type ChatServerRow, chatServer } from './chat-server.ts';

/** Makes a backend for llama.cpp's `llama-server`: port 8080 or LLAMA_CPP_ENDPOINT, key LLAMA_API_KEY. */
export function llamaCpp(options: ChatServerOptions = {}): Backend {
  return chatServer(presets.llamaCpp, options);
}

/** Makes a backend for vLLM: port 8000 or VLLM_ENDPOINT, key VLLM_API_KEY. */
export function vllm(options: ChatServerOptions = {}): Backend {
  return chatServer(presets.vllm, options);
}

/** Makes a backend for LM Studio's server: port 1234 or LM_STUDIO_ENDPOINT, key LM_STUDIO_API_KEY. */
export function lmStudio(options: ChatServerOptions = {}): Backend {
  return chatServer(presets.lmStudio, options);
}

/** Makes a backend for LocalAI: port 8080 or LOCALAI_ENDPOINT, key LOCALAI_API_KEY. */
export function localAi(options: ChatServerOptions = {}): Backend {
  return chatServer(presets.localAi, options);
}

const local = { isProvider: false, freshSocket: false } as const;

/** What is particular about each. */
export const presets = {
  llamaCpp: {
    ...backendCatalog.llamaCpp,
    kind: 'llamaCpp',
    isProvider: false,
    // It ends the connection after a stream, though it promises to keep it.
    freshSocket: true,
    facts: llamaCppFacts,
  },
  vllm: { ...backendCatalog.vllm, ...local, kind: 'vllm', facts: vllmFacts },
  lmStudio: { ...backendCatalog.lmStudio, ...local, kind: 'lmStudio', facts: lmStudioFacts },
  localAi: { ...backendCatalog.localAi, ...local, kind: 'localAi' },
} satisfies Record<string, ChatServerRow>;
