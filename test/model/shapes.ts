/** The agents that the walks are made of: each has one part of what can happen, in full. */
import { type ModelEvent, modelEvents, plainShape, type Shape } from './shape.ts';

/** Every way in which an ask can end from outside, and what comes too late. */
const ends = ['cancel-hand', 'expire-hand', 'kill', 'late', 'cancel-settled'] as const;
/** Answers that break off when a reader has seen some of them. */
const brokenOff = [
  ...(['stream', 'delta', 'text', 'transient', 'fatal', 'crash', 'waited', 'chosen', 'cancel-hand'] as const),
] as const;
const compression = ['compress', 'compressed', 'compress-failed'] as const;

export const shapes: Readonly<Record<string, Shape>> = {
  'retry and fallback': {
    ...plainShape,
    ...{ maxRetries: 1, backends: ['first', 'second'] },
    events: ['ask', 'text', 'transient', 'fatal', 'silence', 'waited', 'chosen', 'cancel-first', ...ends],
  },
  'context overflow': {
    ...plainShape,
    ...{ backends: ['first', 'second'] },
    events: ['ask', 'text', 'fatal', 'overflow', 'chosen', 'compressed', 'compress-failed', ...ends],
  },
  tools: {
    ...plainShape,
    ...{ maxRetries: 1 },
    events: ['ask', 'text', 'tools', 'one-tool', 'rest', 'transient', 'waited', 'chosen', ...ends],
  },
  'tools that must be allowed': {
    ...plainShape,
    events: ['ask', 'text', 'guarded-tools', 'allow', 'deny', 'undecided', 'one-tool', 'rest', ...ends],
  },
  'an ask that fails when nobody decides': {
    ...plainShape,
    ...{ onUndecided: 'fail', stateless: true, maxSteps: 3 },
    events: ['ask', 'text', 'guarded-tools', 'allow', 'deny', 'undecided', 'rest', ...ends],
  },
  mailbox: {
    ...plainShape,
    ...{ mailboxLimit: 2 },
    events: [
      ...(['ask', 'ask-aborted', 'text', 'fatal', 'chosen', 'tools', 'rest'] as const),
      ...(['cancel-first', 'cancel-last', 'expire-first', 'expire-last'] as const),
      ...ends,
    ],
  },
  'no mailbox': { ...plainShape, mailboxLimit: 0, events: ['ask', 'text', 'fatal', 'chosen', ...ends] },
  'drop-oldest': {
    ...plainShape,
    ...{ mailboxLimit: 2, policy: 'drop-oldest' },
    events: ['ask', 'text', ...compression, 'cancel-first', 'cancel-last', 'expire-first', ...ends],
  },
  'wait outside': {
    ...plainShape,
    ...{ policy: 'wait' },
    events: ['ask', 'text', 'cancel-first', 'expire-first', 'cancel-outside', 'expire-outside', ...ends],
  },
  stateless: {
    ...plainShape,
    ...{ stateless: true },
    events: ['ask', 'text', 'tools', 'one-tool', 'rest', 'fatal', 'chosen', ...ends],
  },
  streams: {
    ...plainShape,
    ...{ mailboxLimit: 0, maxRetries: 1, backends: ['first', 'second'] },
    events: [
      'stream',
      'delta',
      'text',
      'transient',
      'fatal',
      'silence',
      'late',
      'waited',
      'chosen',
      'cancel-hand',
      'kill',
    ],
  },
  forks: {
    ...plainShape,
    ...{ mailboxLimit: 0 },
    events: [
      ...(['ask', 'text', 'tools', 'guarded-tools', 'allow', 'rest', 'fork', 'twin-ask'] as const),
      ...(['crash', 'chosen', 'cancel-hand', 'kill'] as const),
    ],
  },
  'an ask id that is in use': { ...plainShape, events: ['ask', 'ask-again', 'text', 'tools', 'rest', ...ends] },
  'compression by size and by hand': {
    ...plainShape,
    ...{ maxRetries: 1 },
    events: [
      'ask',
      'text',
      'big-text',
      'tools',
      'big-tools',
      'rest',
      'overflow',
      ...compression,
      'cancel-hand',
      'kill',
    ],
  },
  'compression by hand while asks wait outside': {
    ...plainShape,
    ...{ policy: 'wait', mailboxLimit: 0 },
    events: ['ask', 'text', ...compression, 'cancel-outside', ...ends],
  },
  'context overflow of a stream': {
    ...plainShape,
    ...{ mailboxLimit: 0 },
    events: ['ask', 'stream', 'delta', 'text', 'overflow', 'chosen', 'compressed', 'cancel-hand', 'kill'],
  },
  'crashes with another backend left': {
    ...plainShape,
    ...{ backends: ['first', 'second'], maxRetries: 1 },
    events: ['ask', 'text', 'crash', 'fatal', 'transient', 'waited', 'chosen', ...ends],
  },
  'crashes while asks wait': {
    ...plainShape,
    ...{ mailboxLimit: 2, policy: 'wait' },
    events: ['ask', 'text', 'crash', 'chosen', 'tools', 'rest', 'cancel-first', 'expire-outside', ...ends],
  },
  'one crash too many': {
    ...plainShape,
    ...{ comesBack: 'once', policy: 'wait' },
    events: ['ask', 'text', 'crash', 'fatal', 'chosen', 'ask-again', ...ends],
  },
  temporary: {
    ...plainShape,
    ...{ comesBack: 'never', policy: 'wait' },
    events: ['ask', 'text', 'tools', 'rest', 'crash', 'stop', 'chosen', ...ends],
  },
  'crashes of a long conversation': {
    ...plainShape,
    ...{ policy: 'wait', mailboxLimit: 0 },
    events: ['ask', 'text', 'big-text', 'crash', 'stop', 'chosen', ...compression, 'kill'],
  },
  'stopped with its group': {
    ...plainShape,
    ...{ maxRetries: 1 },
    events: [
      ...(['ask', 'text', 'guarded-tools', 'allow', 'rest', 'transient', 'waited', 'overflow', 'compressed'] as const),
      ...(['chosen', 'stop', 'late'] as const),
    ],
  },
  'a group that is at its end': {
    ...plainShape,
    ...{ comesBack: 'once' },
    events: ['ask', 'text', 'tools', 'rest', 'crash', 'chosen', 'stop', ...ends],
  },
  'sticky fallback': {
    ...plainShape,
    ...{ sticky: true, backends: ['first', 'second'] },
    events: ['ask', 'text', 'fatal', 'crash', 'stop', 'chosen', 'cancel-hand'],
  },
  'streams that begin again': {
    ...plainShape,
    ...{ replay: true, mailboxLimit: 0, maxRetries: 1 },
    events: [...brokenOff, 'tools', 'rest', 'kill'],
  },
  'a stream that crashes at the last of three': {
    ...plainShape,
    ...{ mailboxLimit: 0, backends: ['first', 'second', 'third'] },
    events: ['stream', 'delta', 'text', 'fatal', 'crash', 'chosen'],
  },
  'streams that go on': {
    ...plainShape,
    ...{ replay: 'continue', mailboxLimit: 0, maxRetries: 1, backends: ['first', 'second'] },
    events: [...brokenOff, 'stop'],
  },
};

/** Everything at once, for random walks. */
export const allEvents: readonly ModelEvent[] = modelEvents;
