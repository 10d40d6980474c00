/** Spans and metrics, as a provider of OpenTelemetry gets them. */
import { type Context, metrics, type Span, type SpanOptions, trace } from '@opentelemetry/api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TroupeError } from '../../src/core/errors.ts';
import { inspectTroupe } from '../../src/inspect/inspect-troupe.ts';
import { otelSink } from '../../src/inspect/otel-sink.ts';
import { settle } from '../../src/testing/virtual-clock.ts';
import { stage, usage } from './stage.ts';

interface Recorded {
  readonly name: string;
  readonly parent: string | undefined;
  readonly attributes: Record<string, unknown>;
  readonly events: string[];
  ended: boolean;
  failed: boolean;
}

const spans: Recorded[] = [];
const measured: [name: string, value: number, attributes: unknown][] = [];
const names = new WeakMap<object, string>();

/** A provider as small as the interface lets it be. */
const tracer = {
  startSpan(name: string, { attributes = {} }: SpanOptions = {}, context?: Context): Span {
    const outer = context && trace.getSpan(context);
    const parent = outer && names.get(outer);
    const recorded: Recorded = { name, parent, attributes: { ...attributes }, events: [], ended: false, failed: false };
    spans.push(recorded);
    const span = {
      setAttribute: (key: string, value: unknown) => Object.assign(recorded.attributes, { [key]: value }),
      setAttributes: (more: object) => Object.assign(recorded.attributes, more),
      setStatus: () => Object.assign(recorded, { failed: true }),
      addEvent: (event: string) => recorded.events.push(event),
      end: () => Object.assign(recorded, { ended: true }),
    } as unknown as Span;
    names.set(span, name);
    return span;
  },
};
const meter = {
  createHistogram: (name: string) => ({
    record: (value: number, attributes: unknown) => measured.push([name, value, attributes]),
  }),
};

beforeAll(() => {
  trace.setGlobalTracerProvider({ getTracer: () => tracer } as never);
  metrics.setGlobalMeterProvider({ getMeter: () => meter } as never);
});
afterAll(() => {
  trace.disable();
  metrics.disable();
});

test('an ask is a span with its calls in it; what fails says so', async () => {
  const overloaded = new TroupeError('TROUPE_ERR_BACKEND_OVERLOADED', 'Too many requests.');
  const { clock, troupe } = stage([{ error: overloaded }, { delayMs: 500, text: 'fine', usage }, { hang: true }]);
  inspectTroupe(troupe, { sinks: [await otelSink()], content: 'full' });
  const agent = await troupe.spawn('a', { backend: 'one' });
  const reply = agent.ask('PROMPT-CANARY', { askId: 'ask-x' });
  await clock.advance(60_000);
  await reply;
  const lost = agent.ask('more', { askId: 'ask-y' }).catch(() => {});
  await settle();
  await agent.kill();
  await lost;

  const call = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'one',
    'gen_ai.request.model': 'scripted-model',
  };
  const ofAgent = { 'gen_ai.agent.name': 'a' };
  const invoke = { 'gen_ai.operation.name': 'invoke_agent', ...ofAgent };
  const common = { ended: true, failed: false, events: [], parent: 'invoke_agent a', name: 'chat scripted-model' };
  expect(spans).toEqual([
    {
      ...{ ...common, name: 'invoke_agent a', parent: undefined, events: ['troupe.retry'] },
      attributes: { ...invoke, 'troupe.ask.id': 'ask-x' },
    },
    {
      ...{ ...common, failed: true },
      attributes: { ...call, ...ofAgent, 'troupe.step': 1, 'error.type': 'TROUPE_ERR_BACKEND_OVERLOADED' },
    },
    {
      ...common,
      attributes: {
        ...{ ...call, ...ofAgent, 'troupe.step': 1 },
        ...{ 'gen_ai.usage.input_tokens': 10, 'gen_ai.usage.output_tokens': 5, 'troupe.cost_usd': 0 },
      },
    },
    {
      ...{ ...common, name: 'invoke_agent a', parent: undefined, failed: true },
      attributes: { ...invoke, 'troupe.ask.id': 'ask-y', 'error.type': 'TROUPE_ERR_AGENT_DEAD' },
    },
    {
      ...{ ...common, failed: true },
      attributes: { ...call, ...ofAgent, 'troupe.step': 1, 'error.type': 'TROUPE_ERR_AGENT_DEAD' },
    },
  ]);
  expect(measured.slice(0, 4)).toEqual([
    ['gen_ai.client.operation.duration', 0, { ...call, 'error.type': 'TROUPE_ERR_BACKEND_OVERLOADED' }],
    ['gen_ai.client.operation.duration', 0.5, call],
    ['gen_ai.client.token.usage', 10, { ...call, 'gen_ai.token.type': 'input' }],
    ['gen_ai.client.token.usage', 5, { ...call, 'gen_ai.token.type': 'output' }],
  ]);
  expect(JSON.stringify([spans, measured])).not.toContain('CANARY');
});
