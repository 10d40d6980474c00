/** Which backend a command uses: what was asked for, else a server on this machine, else the embedded rules. */
import type { Backend } from '../../actors/backend.ts';
import { openai } from '../../actors/backends/openai.ts';
import { chatModel, probeServers } from '../../actors/discover.ts';
import { note, plain } from './terminal.ts';

export interface BackendFlags {
  readonly backend?: string;
  readonly model?: string;
  readonly endpoint?: string;
}

export interface Choice {
  readonly backend: string;
  /** The model to ask for; absent when it is the backend's own. */
  readonly model?: string;
  readonly backends: Readonly<Record<string, Backend>>;
}

/** Chooses, and says on standard error what was chosen unasked. Nothing leaves this machine unless a flag says so. */
export async function chooseBackend({ backend, model, endpoint }: BackendFlags): Promise<Choice> {
  const asked = model === undefined ? {} : { model };
  if (endpoint !== undefined) return { backend: 'openai', backends: { openai: openai({ endpoint }) }, ...asked };
  if (backend !== undefined) return { backend, backends: {}, ...asked };
  const servers = await probeServers();
  const server = servers.find((probe) => chatModel(probe) !== undefined);
  if (server === undefined) {
    note(
      'No model server on this machine: using the embedded rules, no language model. `troupe doctor` says how to get one.',
    );
    return { backend: 'offline', backends: {} };
  }
  const chosen = model ?? chatModel(server) ?? '';
  note(`Using ${plain(chosen)} at ${server.endpoint}. For the embedded rules: --backend offline.`);
  return { backend: server.backend, backends: {}, model: chosen };
}
