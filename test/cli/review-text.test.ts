/** What a review says of its cost. */
import { expect, test } from 'vitest';
import { reviewText } from '../../src/cli/review-text.ts';
import { unknownUsage, zeroUsage } from '../../src/core/usage.ts';
import type { AgentReport, ReviewReport } from '../../src/review/index.ts';

const agent = (name: string, rest: Partial<AgentReport>): AgentReport => ({
  ...{ agent: name, backend: 'ollama', model: 'llama3.1', steps: 1, durationMs: 1000, summary: '', imagined: 0 },
  ...{ tokens: 0, usage: zeroUsage, costUsd: 0 },
  ...rest,
});

const report = (...agents: AgentReport[]): ReviewReport => ({
  ...{ path: 'src', files: 1, skipped: [], findings: [], summary: '', agents, wallMs: 1000 },
});

test('what Claude alone would have cost, with the arithmetic and what is taken for granted', () => {
  const usage = { ...unknownUsage, inputTokens: 100_000, outputTokens: 10_000 };
  const paid = { ...unknownUsage, inputTokens: 10_000, outputTokens: 1000 };
  const text = reviewText(
    report(
      agent('security', { tokens: 110_000, usage }),
      agent('orchestrator', { backend: 'claude', model: 'sonnet', tokens: 11_000, usage: paid, costUsd: 0.03 }),
    ),
  );
  const lines = text.slice(text.indexOf('If sonnet')).trimEnd().split('\n');
  expect(lines).toEqual([
    'If sonnet had done it all: $2.00 in, $10.00 out a million tokens (Claude Code',
    '2.1, 2026-11)',
    '  110000 tokens in and 11000 out, of 2 calls',
    '  $0.03 was paid instead of $0.33: 90.9 % less',
    '  The other model is taken to need the same tokens: it may count and answer',
    '  differently.',
  ]);
});

test('nothing of that where no model took any tokens', () => {
  expect(reviewText(report(agent('security', {})))).not.toContain('had done it all');
});
