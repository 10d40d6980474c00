/** What an agent of the model has as bounds, and what can happen to it. */
import type { MailboxPolicy, Replay } from '../../src/runtime/agent-spec.ts';

/** Bounds of the agent, and which events a walk uses. */
export interface Shape {
  readonly events: readonly ModelEvent[];
  readonly mailboxLimit: number;
  readonly policy: MailboxPolicy;
  readonly maxRetries: number;
  readonly maxSteps: number;
  /** What happens to tool calls that nobody decides on. */
  readonly onUndecided: 'deny' | 'fail';
  readonly backends: readonly string[];
  readonly stateless: boolean;
  /** How often it comes back after a crash; in a group, how often all of it does. */
  readonly comesBack: 'always' | 'once' | 'never';
  /** Whether it stays at the backend to which it has fallen back. */
  readonly sticky: boolean;
  readonly replay: Replay;
}

export const plainShape: Shape = {
  events: [],
  mailboxLimit: 1,
  policy: 'reject',
  maxRetries: 0,
  maxSteps: 2,
  onUndecided: 'deny',
  backends: ['first'],
  stateless: false,
  comesBack: 'always',
  sticky: false,
  replay: false,
};

/** Everything that can happen to an agent. */
export const modelEvents = [
  // What a user does. `ask-aborted` has a signal that was aborted already, `ask-again` the id of an ask in progress.
  'ask',
  'stream',
  'ask-aborted',
  'ask-again',
  'cancel-settled',
  'compress',
  'kill',
  'fork',
  'twin-ask',
  'cancel-hand',
  'cancel-first',
  'cancel-last',
  'cancel-outside',
  // The deadline of an ask.
  'expire-hand',
  'expire-first',
  'expire-last',
  'expire-outside',
  // What the model does. `big` answers make the conversation too large.
  'delta',
  'text',
  'big-text',
  'tools',
  'big-tools',
  'transient',
  'fatal',
  'overflow',
  // Its backend throws what it must not throw.
  'crash',
  // Another agent of its group crashes: all are started anew. Shapes with this event have such a group.
  'stop',
  // It sends nothing for too long.
  'silence',
  // The model wants two tools that must be allowed; the next of them is, or is not, or nobody decides in time.
  'guarded-tools',
  'allow',
  'deny',
  'undecided',
  // One of the two tools of a step ends, or all that still run.
  'one-tool',
  'rest',
  // Back-off is over, the supervisor has chosen, compression is done.
  'waited',
  'chosen',
  'compressed',
  'compress-failed',
  // Model calls and tools that were given up end after all.
  'late',
] as const;
export type ModelEvent = (typeof modelEvents)[number];
