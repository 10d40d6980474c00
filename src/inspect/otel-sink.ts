/**
 * OpenTelemetry: spans and metrics by its conventions for generative AI. No text goes there, whatever the content level.
 *
 * An ask is an `invoke_agent` span; in it are a `chat` span for each model call and an `execute_tool` span for each tool
 * call. Retries and fallbacks are events of the ask's span. The package `@opentelemetry/api` is a peer that is loaded here
 * and nowhere else; without an SDK it does nothing.
 */
import type { Attributes, Context, Histogram, HrTime, Span, Tracer } from '@opentelemetry/api';
import { TroupeError } from '../core/errors.ts';
import type { InspectMessage, Tokens } from './messages.ts';
import type { Sink } from './sink.ts';

type Api = typeof import('@opentelemetry/api');
type MessageOf<Kind extends InspectMessage['kind']> = Extract<InspectMessage, { readonly kind: Kind }>;

/**
 * Makes the sink, which uses the tracer and meter providers that are registered now. Rejects with
 * `TROUPE_ERR_OPTION_INVALID` when `@opentelemetry/api` is not installed.
 */
export async function otelSink(): Promise<Sink> {
  const api = await loaded();
  return new OtelSink(api);
}

async function loaded(): Promise<Api> {
  try {
    return await import('@opentelemetry/api');
  } catch (cause) {
    const message = 'otelSink needs the package `@opentelemetry/api`; install it beside troupe.';
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message, { cause });
  }
}

interface OpenSpan {
  readonly span: Span;
  /** What its children are made in. */
  readonly context: Context;
}

class OtelSink implements Sink {
  readonly #api: Api;
  readonly #tracer: Tracer;
  readonly #tokens: Histogram;
  readonly #durations: Histogram;
  /** Spans that have not ended, by agent and then by what they are of. */
  readonly #open = new Map<string, Map<string, OpenSpan>>();

  constructor(api: Api) {
    this.#api = api;
    this.#tracer = api.trace.getTracer('troupe');
    const meter = api.metrics.getMeter('troupe');
    this.#tokens = meter.createHistogram('gen_ai.client.token.usage', { unit: '{token}' });
    this.#durations = meter.createHistogram('gen_ai.client.operation.duration', { unit: 's' });
  }

  write(message: InspectMessage): void {
    const { kind, agent, at } = message;
    if (kind === 'ask') this.#ask(message);
    else if (kind === 'call') this.#call(message);
    else if (kind === 'tool') this.#tool(message);
    else if (kind === 'dead') this.#endAll(agent, at);
    else if (kind === 'retry')
      this.#note(message.askId, message, {
        ...(message.error && { 'error.type': message.error.code }),
        'troupe.retry_in_ms': message.retryInMs,
      });
    else if (kind === 'fallback')
      this.#note(message.askId, message, { 'troupe.fallback.from': message.from, 'troupe.fallback.to': message.to });
  }

  close(): void {
    for (const agent of [...this.#open.keys()]) this.#endAll(agent, undefined);
  }

  #ask(message: MessageOf<'ask'>): void {
    const { agent, askId, at } = message;
    if (message.phase === 'accepted') {
      this.#begin(message, askKey(askId), `invoke_agent ${agent}`, {
        'gen_ai.operation.name': 'invoke_agent',
        'gen_ai.agent.name': agent,
        'troupe.ask.id': askId,
      });
      return;
    }
    const failed = message.outcome === 'failed' ? (message.error?.code ?? 'failed') : undefined;
    this.#end(agent, askKey(askId), at, failed, {});
  }

  #call(message: MessageOf<'call'>): void {
    const { agent, askId, backend, model, step } = message;
    const common = {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': backend,
      'gen_ai.request.model': model,
    };
    if (message.phase === 'begin') {
      const attributes = { ...common, 'gen_ai.agent.name': agent, 'troupe.step': step };
      this.#begin(message, callKey, `chat ${model}`, attributes, askKey(askId));
      return;
    }
    const { durationMs, error } = message;
    this.#end(agent, callKey, message.at, error?.code, usageAttributes(message));
    this.#durations.record(durationMs / 1000, { ...common, ...(error && { 'error.type': error.code }) });
    for (const [type, count] of [
      ['input', message.inputTokens],
      ['output', message.outputTokens],
    ] as const)
      if (count !== undefined) this.#tokens.record(count, { ...common, 'gen_ai.token.type': type });
  }

  #tool(message: MessageOf<'tool'>): void {
    const { agent, askId, callId, tool, at } = message;
    if (message.phase === 'end') {
      this.#end(agent, toolKey(callId), at, message.isError ? 'tool_error' : undefined, {});
      return;
    }
    const attributes = {
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': tool,
      'gen_ai.tool.call.id': callId,
      'gen_ai.agent.name': agent,
    };
    this.#begin(message, toolKey(callId), `execute_tool ${tool}`, attributes, askKey(askId));
  }

  /** Begins a span, within another one of the agent if `within` names one that is open. */
  #begin({ agent, at }: InspectMessage, key: string, name: string, attributes: Attributes, within?: string): void {
    const { trace, context, ROOT_CONTEXT, SpanKind } = this.#api;
    const spans = this.#open.get(agent) ?? new Map<string, OpenSpan>();
    const outer = within === undefined ? context.active() : (spans.get(within)?.context ?? ROOT_CONTEXT);
    const kind = key === callKey ? SpanKind.CLIENT : SpanKind.INTERNAL;
    const span = this.#tracer.startSpan(name, { kind, attributes, startTime: timeOf(at) }, outer);
    this.#open.set(agent, spans.set(key, { span, context: trace.setSpan(outer, span) }));
  }

  #end(agent: string, key: string, at: number | undefined, failed: string | undefined, attributes: Attributes): void {
    const spans = this.#open.get(agent);
    const span = spans?.get(key)?.span;
    spans?.delete(key);
    if (spans?.size === 0) this.#open.delete(agent);
    if (span === undefined) return;
    span.setAttributes(attributes);
    if (failed !== undefined) {
      span.setAttribute('error.type', failed);
      span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
    }
    span.end(at === undefined ? undefined : timeOf(at));
  }

  #endAll(agent: string, at: number | undefined): void {
    const keys = [...(this.#open.get(agent)?.keys() ?? [])];
    for (const key of keys.reverse()) this.#end(agent, key, at, 'abandoned', {});
  }

  #note(askId: string, { agent, kind, at }: InspectMessage, attributes: Attributes): void {
    this.#open.get(agent)?.get(askKey(askId))?.span.addEvent(`troupe.${kind}`, attributes, timeOf(at));
  }
}

/** An agent makes one call at a time. */
const callKey = 'call';

function askKey(askId: string): string {
  return `ask ${askId}`;
}

function toolKey(callId: string): string {
  return `tool ${callId}`;
}

function usageAttributes({ inputTokens, outputTokens, costUsd }: Tokens): Attributes {
  return {
    ...(inputTokens !== undefined && { 'gen_ai.usage.input_tokens': inputTokens }),
    ...(outputTokens !== undefined && { 'gen_ai.usage.output_tokens': outputTokens }),
    ...(costUsd !== undefined && { 'troupe.cost_usd': costUsd }),
  };
}

/** Seconds and nanoseconds, which cannot be taken for anything but the time since the epoch. */
function timeOf(at: number): HrTime {
  const seconds = Math.floor(at / 1000);
  return [seconds, Math.round((at - seconds * 1000) * 1e6)];
}
