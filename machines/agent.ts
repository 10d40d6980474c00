/**
 * The agent: one mailbox, one ask in hand, one conversation that others keep.
 *
 * The chart owns control and nothing else. Its context is small, bounded JSON; prompts, messages and errors live beside
 * it and are reached by the named actions, which a driver provides and which only enqueue in memory. What takes time is
 * invoked: `callModel`, `runTools`, `compress`, `wait`, `chooseBackend`.
 *
 * A1  An ask in hand ends by exactly one of 'resolve the ask', 'reject the ask', 'reject everything'.
 * A2  There is no time, no chance and no I/O in the chart: deadlines arrive as `expire`, back-off is `wait`.
 * A3  `attempt` counts the model calls of an ask; an outcome of another ask or attempt is stale and changes nothing.
 * A4  The only eventless transition is the one in `idle` that takes queued mail, or compresses when somebody wants that.
 */
import { assign, setup } from 'xstate';
import type {
  AgentContext,
  AgentEvent,
  AgentInput,
  BackendChoice,
  CallOutcome,
  CompressOutcome,
  Fence,
  Measured,
  ToolsOutcome,
  WaitInput,
  WorkInput,
} from './agent-types.ts';
import { contract } from './contract.ts';

/** The outcome that an invoked actor's done event brings. */
type DoneEvent = { readonly output: CallOutcome | ToolsOutcome | CompressOutcome | BackendChoice };

const agentSetup = setup({
  types: {
    context: {} as AgentContext,
    events: {} as AgentEvent,
    input: {} as AgentInput,
    tags: {} as 'busy',
  },
  actors: {
    callModel: contract<CallOutcome, WorkInput>('callModel'),
    runTools: contract<ToolsOutcome, WorkInput>('runTools'),
    compress: contract<CompressOutcome, WorkInput>('compress'),
    wait: contract<void, WaitInput>('wait'),
    chooseBackend: contract<BackendChoice, WorkInput>('chooseBackend'),
  },
  guards: {
    'has mail and grew too much': ({ context }) =>
      context.mailbox.length > 0 && isOver(context, context.tokens + context.waitingTokens),
    'wants compression': ({ context }) => context.wantsCompression,
    'has mail': ({ context }) => context.mailbox.length > 0,
    'has room': ({ context }) => context.mailbox.length < context.limits.mailboxLimit,
    'may drop the oldest': ({ context }) => context.limits.dropOldest && context.mailbox.length > 0,
    'has an ask in hand': ({ context }) => context.askId !== null,
    'is the ask in hand': ({ context, event }) => 'askId' in event && event.askId === context.askId,
    'waits for approval': ({ event }) => event.type === 'resume' && event.approvals.length > 0,
    'has tools to run': ({ event }) => event.type === 'resume' && event.tools,
    'is queued': ({ context, event }) => 'askId' in event && context.mailbox.includes(event.askId),
    'grew too much': ({ context, event }) => isOver(context, tokensOf(event) ?? context.tokens),
    'is stale': ({ context, event }) => {
      const { askId, attempt } = outputOf<Fence>(event);
      return askId !== context.askId || attempt !== context.attempt;
    },
    'is a text': ({ event }) => outputOf<CallOutcome>(event).kind === 'text',
    'is out of steps': ({ context, event }) =>
      outputOf<CallOutcome>(event).kind === 'tool-calls' && context.step >= context.limits.maxSteps,
    'wants an approval': ({ event }) => {
      const outcome = outputOf<CallOutcome>(event);
      return outcome.kind === 'tool-calls' && outcome.approvals.length > 0;
    },
    'wants tools': ({ event }) => outputOf<CallOutcome>(event).kind === 'tool-calls',
    'is too long for the model': ({ context, event }) => {
      const outcome = outputOf<CallOutcome>(event);
      return outcome.kind === 'failed' && outcome.class === 'context-overflow' && !outcome.shown && !context.overflowed;
    },
    'may be retried': ({ context, event }) => {
      const outcome = outputOf<CallOutcome>(event);
      return outcome.kind === 'failed' && outcome.retryInMs !== null && context.retries < context.limits.maxRetries;
    },
    'is the last approval': ({ context, event }) =>
      event.type === 'approve' && context.approvals.length === 1 && context.approvals[0] === event.callId,
    'must be compressed first': ({ event }) => {
      const choice = outputOf<BackendChoice>(event);
      return choice.kind === 'use' && choice.compressFirst;
    },
    'has a backend': ({ event }) => outputOf<BackendChoice>(event).kind === 'use',
    'has crashed': ({ event }) => {
      const choice = outputOf<BackendChoice>(event);
      return choice.kind === 'give-up' && choice.crashed;
    },
  },
  actions: {
    // What the chart itself remembers.
    'take the ask': assign(({ context, event }) => ({
      ...inHand('askId' in event ? event.askId : null),
      backend: context.home,
    })),
    'take the ask up again': assign(({ context, event }) => {
      if (event.type !== 'resume') return {};
      const { askId, step, approvals } = event;
      return { ...inHand(askId), step, approvals, backend: context.home };
    }),
    'take the next ask': assign(({ context }) => ({
      ...inHand(context.mailbox[0] ?? null),
      backend: context.home,
      mailbox: context.mailbox.slice(1),
      waitingTokens: context.mailbox.length > 1 ? context.waitingTokens : 0,
    })),
    'enqueue the ask': assign({
      mailbox: ({ context, event }) => ('askId' in event ? [...context.mailbox, event.askId] : context.mailbox),
      waitingTokens: ({ context, event }) =>
        event.type === 'ask' ? Math.max(context.waitingTokens, event.tokens - context.tokens) : context.waitingTokens,
    }),
    'drop the oldest': assign({ mailbox: ({ context }) => context.mailbox.slice(1) }),
    'take the ask out of the mailbox': assign({
      mailbox: ({ context, event }) => context.mailbox.filter((askId) => !('askId' in event) || askId !== event.askId),
    }),
    'count the call': assign({ attempt: ({ context }) => context.attempt + 1 }),
    'count the retry': assign({
      retries: ({ context }) => context.retries + 1,
      retryInMs: ({ event }) => {
        const outcome = outputOf<CallOutcome>(event);
        return outcome.kind === 'failed' ? (outcome.retryInMs ?? 0) : 0;
      },
    }),
    'measure the step': assign(({ context, event }) => measured(context, event)),
    'measure the step and forget the ask': assign(({ context, event }) => ({
      ...inHand(null),
      ...measured(context, event),
    })),
    'go to the next step': assign({ step: ({ context }) => context.step + 1, retries: 0, approvals: [] }),
    'note the approvals': assign({
      approvals: ({ event }) => {
        const outcome = outputOf<CallOutcome>(event);
        return outcome.kind === 'tool-calls' ? outcome.approvals : [];
      },
    }),
    'note the decision': assign({
      approvals: ({ context, event }) =>
        context.approvals.filter((callId) => event.type !== 'approve' || callId !== event.callId),
    }),
    'note the wish': assign({ wantsCompression: true }),
    'forget the wish': assign({ wantsCompression: false }),
    'note the overflow': assign({ overflowed: true }),
    'switch the backend': assign(({ context, event }) => {
      const choice = outputOf<BackendChoice>(event);
      return { backend: choice.kind === 'use' ? choice.backend : context.backend, retries: 0 };
    }),
    'keep the backend': assign({ home: ({ context }) => (context.limits.sticky ? context.backend : context.home) }),
    'forget the ask': assign(inHand(null)),
    'note the kill': assign({ death: 'killed' }),
    'note the crash': assign({ death: 'crashed' }),
    'note the stop': assign({ death: 'stopped' }),
    'forget everything': assign({ ...inHand(null), mailbox: [] }),
    // What a driver does: each only enqueues in memory, none throws. Without a driver they are data for `transition()`.
    'let in who waits outside': provided,
    'append the step': provided,
    'append the interrupted step': provided,
    'ask for approval': provided,
    'resolve the ask': provided,
    'reject the ask': provided,
    'reject the queued ask': provided,
    'reject the oldest': provided,
    'refuse the ask': provided,
    'reject everything': provided,
  },
});

export const agentMachine = agentSetup.createMachine({
  id: 'agent-v1',
  description: 'One agent: takes asks in order, calls its model, runs its tools, replies.',
  context: ({ input }) => ({
    ...input,
    ...inHand(null),
    home: input.backend,
    costUsd: 0,
    waitingTokens: input.waitingTokens ?? 0,
    wantsCompression: input.wantsCompression ?? false,
    death: null,
  }),
  initial: 'idle',
  on: {
    kill: {
      target: '.dead',
      actions: ['append the interrupted step', 'reject everything', 'forget everything', 'note the kill'],
    },
    compress: { actions: 'note the wish' },
    resume: { actions: 'enqueue the ask' },
    stop: {
      target: '.dead',
      actions: ['append the interrupted step', 'reject the ask', 'forget the ask', 'note the stop'],
    },
    ask: [
      { guard: 'has room', actions: 'enqueue the ask' },
      { guard: 'may drop the oldest', actions: ['reject the oldest', 'drop the oldest', 'enqueue the ask'] },
      { actions: 'refuse the ask' },
    ],
    cancel: [
      {
        guard: 'is the ask in hand',
        target: '.idle',
        actions: ['append the interrupted step', 'reject the ask', 'forget the ask'],
      },
      { guard: 'is queued', actions: ['take the ask out of the mailbox', 'reject the queued ask'] },
    ],
    expire: [
      {
        guard: 'is the ask in hand',
        target: '.idle',
        actions: ['append the interrupted step', 'reject the ask', 'forget the ask'],
      },
      { guard: 'is queued', actions: ['take the ask out of the mailbox', 'reject the queued ask'] },
    ],
  },
  states: {
    idle: {
      description: 'Nothing in hand. Takes queued mail by itself.',
      entry: 'let in who waits outside',
      always: [
        { guard: 'wants compression', target: 'compressing' },
        { guard: 'has mail and grew too much', target: 'compressing', actions: 'take the next ask' },
        { guard: 'has mail', target: 'awaiting', actions: 'take the next ask' },
      ],
      on: {
        ask: [
          { guard: 'grew too much', target: 'compressing', actions: 'take the ask' },
          { target: 'awaiting', actions: 'take the ask' },
        ],
        resume: [
          {
            guard: 'waits for approval',
            target: 'tool-loop.approving',
            actions: ['take the ask up again', 'ask for approval'],
          },
          { guard: 'has tools to run', target: 'tool-loop.running', actions: 'take the ask up again' },
          { target: 'awaiting', actions: 'take the ask up again' },
        ],
      },
    },
    awaiting: {
      description: 'A model call is due, in flight or failed.',
      tags: 'busy',
      initial: 'calling',
      states: {
        calling: {
          description: 'The model call is in flight.',
          entry: 'count the call',
          invoke: {
            id: 'callModel',
            src: 'callModel',
            input: ({ context }) => work(context),
            onDone: [
              { guard: 'is stale' },
              {
                guard: 'is a text',
                target: '#agent-v1.idle',
                actions: [
                  'append the step',
                  'resolve the ask',
                  'keep the backend',
                  'measure the step and forget the ask',
                ],
              },
              {
                guard: 'is out of steps',
                target: '#agent-v1.idle',
                actions: ['reject the ask', 'measure the step and forget the ask'],
              },
              {
                guard: 'wants an approval',
                target: '#agent-v1.tool-loop.approving',
                actions: ['measure the step', 'note the approvals', 'ask for approval'],
              },
              { guard: 'wants tools', target: '#agent-v1.tool-loop.running', actions: 'measure the step' },
              {
                guard: 'is too long for the model',
                target: '#agent-v1.compressing',
                actions: 'note the overflow',
              },
              { guard: 'may be retried', target: 'backing-off', actions: 'count the retry' },
              { target: 'failing' },
            ],
            onError: { target: '#agent-v1.dead', actions: ['reject the ask', 'forget the ask', 'note the crash'] },
          },
        },
        'backing-off': {
          description: 'Waits before the same call is made again.',
          invoke: {
            id: 'wait',
            src: 'wait',
            input: ({ context }) => ({ ...work(context), ms: context.retryInMs }),
            onDone: { target: 'calling' },
            onError: { target: '#agent-v1.dead', actions: ['reject the ask', 'forget the ask', 'note the crash'] },
          },
        },
        failing: {
          description: 'Asks the supervisor for another backend.',
          invoke: {
            id: 'chooseBackend',
            src: 'chooseBackend',
            input: ({ context }) => work(context),
            onDone: [
              { guard: 'must be compressed first', target: '#agent-v1.compressing', actions: 'switch the backend' },
              { guard: 'has a backend', target: 'calling', actions: 'switch the backend' },
              {
                guard: 'has crashed',
                target: '#agent-v1.dead',
                actions: ['reject the ask', 'forget the ask', 'note the crash'],
              },
              { target: '#agent-v1.idle', actions: ['reject the ask', 'forget the ask'] },
            ],
            onError: { target: '#agent-v1.dead', actions: ['reject the ask', 'forget the ask', 'note the crash'] },
          },
        },
      },
    },
    'tool-loop': {
      description: 'The model wants tools.',
      tags: 'busy',
      initial: 'running',
      states: {
        approving: {
          description: 'Somebody must decide on a tool call first.',
          on: {
            approve: [
              { guard: 'is the last approval', target: 'running', actions: 'note the decision' },
              { actions: 'note the decision' },
            ],
          },
        },
        running: {
          description: 'The tools run.',
          invoke: {
            id: 'runTools',
            src: 'runTools',
            input: ({ context }) => work(context),
            onDone: [
              { guard: 'is stale' },
              {
                guard: 'grew too much',
                target: '#agent-v1.compressing',
                actions: ['append the step', 'measure the step', 'go to the next step'],
              },
              {
                target: '#agent-v1.awaiting',
                actions: ['append the step', 'measure the step', 'go to the next step'],
              },
            ],
            onError: {
              target: '#agent-v1.dead',
              actions: ['append the interrupted step', 'reject the ask', 'forget the ask', 'note the crash'],
            },
          },
        },
      },
    },
    compressing: {
      description: 'What will be sent is made smaller; the log stays whole.',
      tags: 'busy',
      invoke: {
        id: 'compress',
        src: 'compress',
        input: ({ context }) => work(context),
        onDone: [
          { guard: 'has an ask in hand', target: 'awaiting', actions: ['measure the step', 'forget the wish'] },
          { target: 'idle', actions: ['measure the step', 'forget the wish'] },
        ],
        onError: [
          { guard: 'has an ask in hand', target: 'awaiting', actions: 'forget the wish' },
          { target: 'idle', actions: 'forget the wish' },
        ],
      },
    },
    dead: { description: 'Killed, crashed or stopped. Takes nothing, answers nothing.', type: 'final' },
  },
});

/** The fields that belong to the ask in hand, as they are when it is taken. */
function inHand(askId: string | null) {
  return { askId, step: 1, attempt: 0, retries: 0, retryInMs: 0, overflowed: false, approvals: [] };
}

/** Size and price after an outcome that says them. */
function measured(context: AgentContext, event: unknown) {
  const { messages, tokens, costUsd, limitTokens } = outputOf<Partial<Measured>>(event);
  const { limits } = context;
  return {
    messages: messages ?? context.messages,
    tokens: tokens ?? context.tokens,
    costUsd: costUsd ?? context.costUsd,
    limits: limitTokens === undefined ? limits : { ...limits, compressAtTokens: limitTokens },
  };
}

function work({ name, askId, step, attempt, retries, backend, messages }: AgentContext): WorkInput {
  return { name, askId, step, attempt, retries, backend, length: messages };
}

function isOver({ limits }: AgentContext, tokens: number): boolean {
  return limits.compressAtTokens !== null && tokens > limits.compressAtTokens;
}

/** The output of a done event. Guards and actions run on the transition that names them, so its type is known there. */
function outputOf<Output>(event: unknown): Output {
  return (event as DoneEvent).output as Output;
}

function tokensOf(event: AgentEvent): number | undefined {
  return event.type === 'ask' ? event.tokens : outputOf<Partial<Measured> | undefined>(event)?.tokens;
}

function provided(): void {}
