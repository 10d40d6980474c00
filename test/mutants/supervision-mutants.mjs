/** Bugs in crashes, restarts, groups, breakers, repeats, fallbacks and broken answers; see mutants.mjs for the form. */
const model = 'test/model/transitions.test.ts';

export const supervisionMutants = [
  {
    name: 'restart that forgets who waits',
    tests: [model],
    only: '^crashes while asks wait$',
    edits: [
      {
        file: 'src/runtime/registry.ts',
        search: 'this.#makeActor(name, spec, left);',
        replace: 'this.#makeActor(name, spec, { ...left, mailbox: [] });',
      },
    ],
  },
  {
    name: 'restart that asks again what crashed it',
    tests: [model],
    only: '^crashes while asks wait$',
    edits: [
      {
        file: 'machines/agent.ts',
        search:
          "                target: '#agent-v1.dead',\n                actions: ['reject the ask', 'forget the ask', 'note the crash'],\n              },\n              { target: '#agent-v1.idle'",
        replace:
          "                target: '#agent-v1.dead',\n                actions: ['note the crash'],\n              },\n              { target: '#agent-v1.idle'",
      },
      {
        file: 'src/runtime/registry.ts',
        search: 'this.#makeActor(name, spec, left);',
        replace: 'this.#makeActor(name, spec, { ...left, mailbox: [context.askId ?? [], mailbox].flat() });',
      },
    ],
  },
  {
    name: 'restart that forgets the wish to be compressed',
    tests: [model],
    only: 'crashes of a long conversation',
    edits: [{ file: 'machines/agent.ts', search: 'input.wantsCompression ?? false', replace: 'false' }],
  },
  {
    name: 'one restart too many',
    tests: [model],
    only: '^one crash too many$',
    edits: [
      {
        file: 'src/runtime/restart.ts',
        search: 'recent.length >= maxRestarts',
        replace: 'recent.length > maxRestarts',
      },
    ],
  },
  {
    name: 'one life that ends twice',
    tests: [model],
    only: '^crashes while asks wait$',
    edits: [
      {
        file: 'src/runtime/registry.ts',
        search: '    this.#tellDown(record, context.death, true);\n',
        replace: '    this.#tellDown(record, context.death, true);\n    this.#tellDown(record, context.death, true);\n',
      },
    ],
  },
  {
    name: 'temporary that comes back',
    tests: [model],
    only: '^temporary$',
    edits: [
      {
        file: 'src/runtime/registry.ts',
        search: "    if (policy === 'temporary') return { comesBack: false, withGroup: false };\n",
        replace: '',
      },
    ],
  },
  {
    name: 'dead agent whose waiting asks stay open in the store',
    tests: [model],
    only: '^temporary$',
    edits: [
      {
        file: 'src/runtime/registry.ts',
        search:
          'for (const ask of record.asks.values()) reject(this.#host.runtime, record, ask, agentDead(name, reason));',
        replace: 'for (const ask of record.asks.values()) ask.reject(agentDead(name, reason));',
      },
    ],
  },
  {
    name: 'one-for-all that leaves the others',
    tests: [model],
    only: '^a group that is at its end$',
    edits: [
      {
        file: 'machines/supervisor.ts',
        search: "actions: ['stop the group', 'count the restart', 'restart the agent'],",
        replace: "actions: ['count the restart', 'restart the agent'],",
      },
    ],
  },
  {
    name: 'group at its end that leaves the others',
    tests: [model],
    only: '^a group that is at its end$',
    edits: [
      {
        file: 'machines/supervisor.ts',
        search: "actions: ['kill the group', 'bury the agent'] }",
        replace: "actions: 'bury the agent' }",
      },
    ],
  },
  {
    name: 'orphan that lives on',
    tests: ['test/runtime/restarts.test.ts'],
    only: 'agents that a tool spawned',
    edits: [
      {
        file: 'src/runtime/registry.ts',
        search: "child.spec.whenOrphaned === 'stop'",
        replace: "child.spec.whenOrphaned === 'adopt'",
      },
    ],
  },
  {
    name: 'crash though the ask failed otherwise',
    tests: [model],
    only: 'last of three',
    edits: [
      {
        file: 'src/runtime/bind.ts',
        search: "failure === undefined || allFailed(ask)?.class === 'crashed'",
        replace: "failure === undefined || failure.class === 'crashed'",
      },
    ],
  },
  {
    name: 'breaker that opens a failure too late',
    tests: ['test/machines/breaker.test.ts'],
    edits: [
      {
        file: 'machines/breaker.ts',
        search: '(context.failures[event.class] ?? 0) >= context.limits.allowedFailures',
        replace: '(context.failures[event.class] ?? 0) > context.limits.allowedFailures',
      },
    ],
  },
  {
    name: 'half-open that lets everybody in',
    tests: ['test/runtime/breaker.test.ts'],
    edits: [
      {
        file: 'src/runtime/admission.ts',
        search: "return state === 'closed' || this.#probe === undefined;",
        replace: "return state !== 'open';",
      },
    ],
  },
  {
    name: 'Retry-After without a cap',
    tests: ['test/core/retry.test.ts'],
    edits: [
      {
        file: 'src/core/retry.ts',
        search: '  if (retryAfterMs !== undefined && retryAfterMs > longestRetryAfterMs) return null;\n',
        replace: '  void longestRetryAfterMs;\n',
      },
    ],
  },
  {
    name: 'cool-down longer than a day',
    tests: ['test/machines/breaker.test.ts'],
    edits: [
      {
        file: 'machines/breaker.ts',
        search: 'Math.min(retryAfterMs, longestAskedMs)',
        replace: 'Math.max(retryAfterMs, 0 * longestAskedMs)',
      },
    ],
  },
  {
    name: 'repeats beyond their budget',
    tests: ['test/model/shared.test.ts'],
    edits: [
      {
        file: 'src/runtime/call-model.ts',
        search: 'mayRetry && runtime.retryBudget.mayRetry() ? delayMs',
        replace: 'mayRetry ? delayMs',
      },
    ],
  },
  {
    name: 'fallback to a backend that cools down',
    tests: ['test/model/shared.test.ts'],
    edits: [
      {
        file: 'machines/supervisor.ts',
        search: 'left.find((name) => !shut.includes(name)) ?? left[0]',
        replace: 'left[0]',
      },
    ],
  },
  {
    name: 'late answer that is not counted',
    tests: [model],
    only: '^no mailbox$',
    edits: [
      {
        file: 'src/runtime/call-model.ts',
        search: '        if (over) runtime.counts.lateResults += 1;\n',
        replace: '        void over;\n',
      },
    ],
  },
  {
    name: 'late tool that is not counted',
    tests: [model],
    only: '^stateless$',
    edits: [
      {
        file: 'src/runtime/run-tools.ts',
        search: '      if (abort.signal.aborted) runtime.counts.lateResults += 1;\n',
        replace: '',
      },
    ],
  },
  {
    name: 'close that does not wait',
    tests: ['test/runtime/closing.test.ts'],
    edits: [
      {
        file: 'src/runtime/troupe.ts',
        search: '    if (drainMs > 0) await this.#open.none(this.clock, drainMs);\n',
        replace: '',
      },
    ],
  },
  {
    name: 'reader who is not told what to discard',
    tests: [model],
    only: 'streams that begin again',
    edits: [
      { file: 'src/runtime/ask.ts', search: 'discardChars: this.partialText.length', replace: 'discardChars: 0' },
    ],
  },
  {
    name: 'answer that goes on without its beginning',
    tests: [model],
    only: 'streams that go on',
    edits: [
      {
        file: 'src/runtime/call-model.ts',
        search: '  return { ...response, text };',
        replace: '  return response;',
      },
    ],
  },
  {
    name: 'cancelled ask that forgets what was seen',
    tests: [model],
    only: 'streams that go on',
    edits: [
      {
        file: 'src/runtime/bind.ts',
        search: 'error.partialText ?? (`',
        replace: 'error.partialText ?? (ask.partialText || `',
      },
    ],
  },
  {
    name: 'fallback that does not stick',
    tests: [model],
    only: '^sticky fallback$',
    edits: [
      {
        file: 'machines/agent.ts',
        search: 'context.limits.sticky ? context.backend : context.home',
        replace: 'context.home',
      },
    ],
  },
  {
    name: 'stranger that throws',
    tests: ['test/model/fail-nth.test.ts'],
    only: 'listener of agent-down|log.warn|inspector of',
    edits: [
      {
        file: 'src/runtime/guards.ts',
        search: '  } catch {\n    // Whoever was called should have caught it.\n  }',
        replace: '  } catch (thrown) {\n    throw thrown;\n  }',
      },
    ],
  },
];
