/**
 * A real model server on loopback whose answers are written down beforehand, and which misbehaves where the script says so.
 * It speaks OpenAI's, Anthropic's and Ollama's protocols, each at its own route, streamed or whole as it is asked.
 */
import type { ScriptedStep } from '../../actors/backends/scripted.ts';
import { TroupeError } from '../core/errors.ts';
import { routes, type Said, wireOf } from './fake-wires.ts';
import { type Exchange, type FaultServer, faultServer } from './fault-server.ts';
import { httpFaults } from './http-faults.ts';

/** One request of the script. */
export interface FakeStep extends Pick<ScriptedStep, 'expect' | 'text' | 'toolCalls' | 'finishReason' | 'usage'> {
  /**
   * What goes wrong with the answer, see `faultNames`. Default: nothing. A backend repeats a request whose connection broke
   * before any answer: that one takes the next step.
   */
  readonly fault?: string;
}

export interface FakeServer extends Pick<FaultServer, 'requests' | 'counts' | 'when'> {
  /** What a backend takes as its `endpoint`. */
  readonly endpoint: string;
  /** Ends it. Rejects with what was not expected, or with steps that nobody asked for. */
  close(): Promise<void>;
}

const nothing: Said = { pieces: [], calls: [], finish: 'stop', usage: { inputTokens: 0, outputTokens: 0 } };

/** What a step's `fault` may be: `429-seconds`, `hang-headers`, `reset-mid-stream`, … */
export const faultNames: readonly string[] = Object.keys(httpFaults(wireOf('openai', nothing, true))).filter(
  // These are about several requests; a step is about one.
  (name) => !/-once$|^idle-race$/.test(name),
);

/** Starts a server that answers by these steps, in order. Rejects when a step names a fault that is none. */
export async function fakeServer(script: readonly FakeStep[]): Promise<FakeServer> {
  for (const { fault } of script) {
    if (fault === undefined || faultNames.includes(fault)) continue;
    const known = faultNames.join('`, `');
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', `fakeServer: \`fault\` "${fault}" is none of \`${known}\`.`);
  }
  const steps = [...script];
  const problems: string[] = [];
  const server = await faultServer({ ok: (exchange) => answer(exchange, steps, problems) });
  const { url: endpoint, requests, counts, when } = server;
  return {
    ...{ endpoint, requests, counts, when },
    async close() {
      await server.close();
      if (problems.length > 0) throw new TroupeError('TROUPE_ERR_SCRIPT_UNEXPECTED', `${problems.join('; ')}.`);
      if (steps.length === 0) return;
      const message = `The server's script has ${steps.length} steps that were never asked for.`;
      throw new TroupeError('TROUPE_ERR_SCRIPT_UNCONSUMED', message);
    },
  };
}

async function answer(exchange: Exchange, steps: FakeStep[], problems: string[]): Promise<void> {
  const { method, path, body, text } = exchange.request;
  const protocol = method === 'POST' ? routes[path.split('?')[0] ?? ''] : undefined;
  // What a backend asks of a server besides answers, such as the size of a context: this one says nothing of it.
  if (protocol === undefined) return exchange.reply(404, { error: `no route ${method} ${path}` });
  const step = steps.shift();
  const unexpected = step === undefined ? `Request ${method} ${path} is not in the script` : misfit(step, text);
  if (unexpected !== undefined) problems.push(unexpected);
  const streams = protocol === 'ollama' ? body?.['stream'] !== false : body?.['stream'] === true;
  const wire = wireOf(protocol, step === undefined ? nothing : said(step, exchange), streams);
  if (unexpected !== undefined) return exchange.reply(400, wire.error(unexpected, 'invalid_request_error'));
  await httpFaults(wire)[step?.fault ?? 'ok']?.(exchange);
}

/** The text of a request is JSON: what is expected is looked for as it stands there. */
function misfit({ expect }: FakeStep, text: string): string | undefined {
  if (expect === undefined) return undefined;
  const fits = typeof expect === 'string' ? text.includes(JSON.stringify(expect).slice(1, -1)) : expect.test(text);
  return fits ? undefined : `A request should have ${String(expect)} and is ${text.slice(0, 200)}`;
}

function said({ text = '', toolCalls = [], finishReason, usage = {} }: FakeStep, { times }: Exchange): Said {
  const { inputTokens = 0, outputTokens = 0 } = usage;
  return {
    pieces: typeof text === 'string' ? [text] : text,
    calls: toolCalls.map((call, index) => {
      return { id: call.id ?? `call-${times}-${index + 1}`, name: call.name, arguments: call.arguments ?? {} };
    }),
    finish: finishReason ?? (toolCalls.length > 0 ? 'tool-calls' : 'stop'),
    usage: { inputTokens, outputTokens },
  };
}
