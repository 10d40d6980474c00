/** The model servers of the soak, seen from the process that soaks. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/**
 * Starts a server for each protocol of `rates`, which says how likely one of its requests fails. Gives where they listen, and
 * `close`, which resolves with what they counted.
 */
export async function startServers({ seed, rates }) {
  const worker = new Worker(new URL('./server-worker.mjs', import.meta.url), { workerData: { seed, rates } });
  const [{ endpoints }] = await once(worker, 'message');
  return {
    endpoints,
    async close() {
      const exited = once(worker, 'exit');
      worker.postMessage('close');
      const [{ counts }] = await once(worker, 'message');
      await exited;
      return counts;
    },
  };
}

/** Backends for these servers, as a stream and whole: `openai`, `openai-whole` and so on. */
export function backendsFor({ openai, anthropic, ollama }, endpoints) {
  const make = { openai, anthropic, ollama };
  const rows = Object.entries(endpoints).flatMap(([name, endpoint]) => {
    const options = { endpoint, model: 'm', ...(name === 'ollama' ? {} : { apiKey: 'soak-key' }) };
    return [
      [name, make[name](options)],
      [`${name}-whole`, make[name]({ ...options, stream: false })],
    ];
  });
  return Object.fromEntries(rows);
}
