/**
 * Backends for local servers that speak OpenAI's chat completions, each a row of what is particular about it.
 * None of them ever reads `OPENAI_API_KEY`.
 */
import type { Backend } from '../backend.ts';
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

/** What is particular about each. */
export const presets = {
  llamaCpp: {
    kind: 'llamaCpp',
    endpoint: 'http://127.0.0.1:8080',
    isProvider: false,
    variables: { endpoint: 'LLAMA_CPP_ENDPOINT', apiKey: 'LLAMA_API_KEY' },
    model: undefined,
    // It ends the connection after a stream, though it promises to keep it.
    freshSocket: true,
    setup: 'Run `llama-server --model model.gguf --jinja`, or set LLAMA_CPP_ENDPOINT.',
  },
  vllm: {
    kind: 'vllm',
    endpoint: 'http://127.0.0.1:8000',
    isProvider: false,
    variables: { endpoint: 'VLLM_ENDPOINT', apiKey: 'VLLM_API_KEY' },
    model: undefined,
    freshSocket: false,
    setup: 'Run `vllm serve <model>`, with a tool call parser if tools are wanted, or set VLLM_ENDPOINT.',
  },
  lmStudio: {
    kind: 'lmStudio',
    endpoint: 'http://127.0.0.1:1234',
    isProvider: false,
    variables: { endpoint: 'LM_STUDIO_ENDPOINT', apiKey: 'LM_STUDIO_API_KEY' },
    model: undefined,
    freshSocket: false,
    setup: 'Load a model in LM Studio and run `lms server start`, or set LM_STUDIO_ENDPOINT.',
  },
  localAi: {
    kind: 'localAi',
    endpoint: 'http://127.0.0.1:8080',
    isProvider: false,
    variables: { endpoint: 'LOCALAI_ENDPOINT', apiKey: 'LOCALAI_API_KEY' },
    model: undefined,
    freshSocket: false,
    setup: 'Run `local-ai run <model>`, or set LOCALAI_ENDPOINT.',
  },
} satisfies Record<string, ChatServerRow>;
