/** The backend for OpenAI and for every server that speaks its chat completions protocol. */
import type { Backend } from '../backend.ts';
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
  return chatServer(row, options);
}

const row: ChatServerRow = {
  kind: 'openai',
  endpoint: 'https://api.openai.com',
  isProvider: true,
  variables: { endpoint: 'LLM_ENDPOINT', apiKey: 'OPENAI_API_KEY', model: 'LLM_MODEL' },
  model: 'gpt-4o-mini',
  freshSocket: false,
  setup: 'Set OPENAI_API_KEY, or give the `endpoint` of any server that speaks the chat completions protocol.',
};
