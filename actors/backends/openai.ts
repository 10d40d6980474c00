/** The backend for OpenAI and for every server that speaks its chat completions protocol. */
import { backendCatalog } from '../../src/core/catalog.ts';
import type { Backend } from '../backend.ts';
import { knownFacts } from './backend-info.ts';
import { type ChatServerOptions, type ChatServerRow, chatServer } from './chat-server.ts';

/** Options of `openai`. */
export interface OpenAiOptions extends ChatServerOptions {
  /** Base URL, with or without `/v1`. Default: the variable `LLM_ENDPOINT`, else https://api.openai.com. */
  readonly endpoint?: string;
  /** Default: the variable `LLM_MODEL`, else `gpt-4o-mini`. */
  readonly model?: string;
  /**
   * Sent as bearer token. Default: the variable `OPENAI_API_KEY`, but only to https://api.openai.com or to the endpoint
   * that `LLM_ENDPOINT` names: a key of the environment goes to no endpoint that is given here.
   */
  readonly apiKey?: string;
}

/** Makes a backend that calls `/chat/completions` of an OpenAI-compatible server. */
export function openai(options: OpenAiOptions = {}): Backend {
  // The protocol has no route that says more of a model than its name.
  return { ...chatServer(row, options), describeModel: async (model) => knownFacts('openai', model) };
}

const row: ChatServerRow = { ...backendCatalog.openai, kind: 'openai', isProvider: true, freshSocket: false };
