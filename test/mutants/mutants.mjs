/**
 * Bugs in an agent and its asks that the tests must notice. Each is one or more replacements; `search` stands in its file exactly once.
 * `tests` are the files that are run against it; with `only`, those of their tests whose name matches.
 */
const model = 'test/model/transitions.test.ts';

export const mutants = [
  {
    name: 'lost mail',
    tests: [model],
    only: '^crashes while asks wait$',
    edits: [
      {
        file: 'machines/agent.ts',
        search: '      backend: context.home,\n      mailbox: context.mailbox.slice(1),',
        replace: '      backend: context.home,\n      mailbox: [],',
      },
    ],
  },
  {
    name: 'double reply',
    tests: [model],
    only: '^no mailbox$',
    edits: [
      {
        file: 'src/runtime/bind.ts',
        search: '  if (response === undefined) return;\n  record.asks.delete(ask.askId);\n',
        replace: '  if (response === undefined) return;\n',
      },
    ],
  },
  {
    name: 'reply after kill',
    tests: [model],
    only: '^no mailbox$',
    edits: [
      {
        file: 'machines/agent.ts',
        search: "    kill: {\n      target: '.dead',",
        replace: "    kill: {\n      guard: 'has no ask in hand',\n      target: '.dead',",
      },
      {
        file: 'machines/agent.ts',
        search: "    'has an ask in hand': ({ context }) => context.askId !== null,",
        replace:
          "    'has an ask in hand': ({ context }) => context.askId !== null,\n    'has no ask in hand': ({ context }) => context.askId === null,",
      },
    ],
  },
  {
    name: 'shared fork',
    tests: [model],
    only: '^forks$',
    edits: [
      {
        file: 'src/core/conversation.ts',
        search: '    if (this.#log.groups.length !== this.#groupCount) this.#log = this.#ownCopy();\n',
        replace: '    void this.#ownCopy;\n',
      },
    ],
  },
  {
    name: 'lost system message',
    tests: ['test/core/conversation.test.ts'],
    edits: [
      {
        file: 'src/core/conversation.ts',
        search: '    const twin = new Conversation(system);',
        replace: '    const twin = new Conversation(system && undefined);',
      },
    ],
  },
  {
    name: 'orphan tool result',
    tests: [model],
    only: '^stateless$',
    edits: [
      { file: 'src/core/conversation.ts', search: '    checkPairs(group);\n', replace: '    void checkPairs;\n' },
      {
        file: 'src/runtime/assistant-message.ts',
        search: '    ...(toolCalls.length === 0 ? {} : { toolCalls }),',
        replace: '    ...(toolCalls.length === 0 ? {} : { toolCalls: toolCalls.slice(1) }),',
      },
    ],
  },
  {
    name: 'late result accepted',
    tests: ['test/machines/agent.test.ts'],
    edits: [
      {
        file: 'machines/agent.ts',
        search: '      return askId !== context.askId || attempt !== context.attempt;',
        replace: '      return askId !== context.askId && attempt !== context.attempt;',
      },
    ],
  },
  {
    name: 'late text accepted',
    tests: [model],
    only: '^streams$',
    edits: [
      {
        file: 'src/runtime/call-model.ts',
        search: '    if (over || signal.aborted) return;\n',
        replace: '    void over;\n',
      },
    ],
  },
  {
    name: 'deadline ignored in queue',
    tests: [model],
    only: '^wait outside$',
    edits: [
      {
        file: 'machines/agent.ts',
        search:
          "    expire: [\n      {\n        guard: 'is the ask in hand',\n        target: '.idle',\n        actions: ['append the interrupted step', 'reject the ask', 'forget the ask'],\n      },\n      { guard: 'is queued', actions: ['take the ask out of the mailbox', 'reject the queued ask'] },\n    ],",
        replace:
          "    expire: [\n      {\n        guard: 'is the ask in hand',\n        target: '.idle',\n        actions: ['append the interrupted step', 'reject the ask', 'forget the ask'],\n      },\n    ],",
      },
    ],
  },
  {
    name: 'cancel that leaves the socket',
    tests: [model],
    only: '^no mailbox$',
    edits: [
      {
        file: 'src/runtime/work-logic.ts',
        search: '      if (!finished) abort.abort(abandoned);',
        replace: '      void finished;',
      },
      { file: 'src/runtime/ask.ts', search: '    this.work?.abort(abandoned);\n', replace: '    void abandoned;\n' },
    ],
  },
  {
    name: 'request before barrier',
    tests: ['test/runtime/supervision.test.ts'],
    edits: [
      {
        file: 'src/runtime/call-model.ts',
        search: '  await runtime.store.barrier();',
        replace: '  void runtime.store.barrier();',
      },
    ],
  },
  {
    name: 'reply before barrier',
    tests: ['test/runtime/supervision.test.ts'],
    edits: [
      {
        file: 'src/runtime/bind.ts',
        search: '  store.barrier().then(settle, settle);',
        replace: '  void store.barrier();\n  settle();',
      },
    ],
  },
  {
    name: 'buffer shared by two requests',
    tests: ['test/actors/wire/conversation-bytes.test.ts'],
    edits: [
      {
        file: 'actors/wire/conversation-bytes.ts',
        search: '  #bytes = nothing;',
        replace: '  #bytes = shared;',
      },
      {
        file: 'actors/wire/conversation-bytes.ts',
        search: 'const smallestBuffer = 512;',
        replace: 'const smallestBuffer = 512;\nconst shared = Buffer.allocUnsafe(4096);',
      },
    ],
  },
  {
    name: 'fallback replaying delivered output',
    tests: [model],
    only: '^streams$',
    edits: [
      {
        file: 'src/runtime/bind.ts',
        search: '  if (failure?.backend === undefined || (ask.delivered && ask.replay === false)) return',
        replace: '  if (failure?.backend === undefined) return',
      },
    ],
  },
  {
    name: 'tool that runs without approval',
    tests: [model],
    only: '^tools that must be allowed$',
    edits: [
      {
        file: 'src/runtime/call-model.ts',
        search: '  const approvals = mayRun ? await',
        replace: '  const approvals = !mayRun ? await',
      },
    ],
  },
  {
    name: 'denied call that runs',
    tests: ['test/runtime/approval.test.ts'],
    edits: [
      {
        file: 'src/runtime/run-tools.ts',
        search: '(hosted ?? ask.results.get(call.id) ?? toolResult(runtime, run))',
        replace: '(hosted ?? toolResult(runtime, run))',
      },
    ],
  },
  {
    name: 'decision for another call',
    tests: ['test/runtime/approval.test.ts'],
    edits: [
      {
        file: 'src/runtime/approval.ts',
        search: ' || !isSame(pending.call, call)',
        replace: ' || !isSame(pending.call, callId)',
      },
    ],
  },
];
