/**
 * Compression by age: the newest messages as they are, older ones as notes, the oldest as one paragraph.
 *
 * Each compression notes down what it leaves out, as one more list of points. Lists that have become old enough go into
 * the paragraph. So both levels grow by what is new to them, and no message is read by the writing model twice.
 */
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import { goalOf, newest } from './newest.ts';
import type { CompressionInput, CompressionStrategy } from './strategy.ts';
import { messageCount, summaryTokens, type WritingOptions, writingRules } from './summarize.ts';
import { leastSummaryTokens, type Summary, summariesOf, summarizedGroups, summaryGroup } from './summary.ts';
import { writeSummary } from './write-summary.ts';

export interface HierarchicalOptions extends WritingOptions {
  /** Newest messages that are kept as they are, rounded down to whole groups; fewer when they are too long. Default 10. */
  readonly keepMessages?: number;
  /** Newest messages that have notes of their own, the kept ones counted in; what is older is in the paragraph. Default 50. */
  readonly notesMessages?: number;
}

/** Makes the strategy that summarises the more the older it is. Throws `TROUPE_ERR_OPTION_INVALID`. */
export function hierarchical(options: HierarchicalOptions = {}): CompressionStrategy {
  checkOptions('hierarchical()', options, optionRules);
  return {
    name: 'hierarchical',
    async compress(input) {
      const maxTokens = summaryTokens(input, options, 8);
      const kept = newest(input, { messages: options.keepMessages ?? 10, tokens: goalOf(input) - 2 * maxTokens });
      const before = summariesOf(input.previous?.head ?? []);
      const end = kept[0] ?? input.groups.length;
      const levels = planLevels(input, before, end, { notesMessages: options.notesMessages ?? 50, maxTokens });
      if (maxTokens < leastSummaryTokens) return { head: before.map(summaryGroup), kept };
      const writing = { maxTokens, maxInputTokens: options.maxInputTokens };
      const overview = await writtenOverview(input, levels, writing);
      const notes = await writtenNotes(input, levels, writing);
      return { head: [...overview, ...levels.notes, ...notes].map(summaryGroup), kept };
    },
  };
}

const optionRules: Record<keyof HierarchicalOptions, Rule> = {
  ...writingRules,
  keepMessages: rules.positiveCount,
  notesMessages: rules.positiveCount,
};

/** What goes where. */
interface Levels {
  /** The paragraph so far: one summary, or several that another strategy left. */
  readonly overview: readonly Summary[];
  /** Notes that go into it. */
  readonly folded: readonly Summary[];
  /** Notes that stay. */
  readonly notes: readonly Summary[];
  /** Groups from `far` up to `near` go into the paragraph, those up to `end` become notes. */
  readonly far: number;
  readonly near: number;
  readonly end: number;
}

function planLevels(
  input: CompressionInput,
  before: readonly Summary[],
  end: number,
  { notesMessages, maxTokens }: { readonly notesMessages: number; readonly maxTokens: number },
): Levels {
  const { groups, tokensOf } = input;
  const oldest = messageCount(groups) - notesMessages;
  const far = Math.min(summarizedGroups(groups, before), end);
  const notes = before.filter(({ form }) => form === 'Notes');
  let near = far;
  for (let seen = messageCount(groups.slice(0, far)); near < end; near += 1) {
    seen += groups[near]?.length ?? 0;
    if (seen > oldest) break;
  }
  // Groups that go into the paragraph take all notes with them: those are older.
  let foldCount = near > far ? notes.length : notes.filter(({ to }) => to <= oldest).length;
  const room = goalOf(input) / 2 - (near < end ? maxTokens : 0);
  let tokens = notes.slice(foldCount).reduce((sum, note) => sum + tokensOf(summaryGroup(note)), 0);
  while (foldCount < notes.length && tokens > room) {
    const note = notes[foldCount];
    tokens -= note === undefined ? 0 : tokensOf(summaryGroup(note));
    foldCount += 1;
  }
  const overview = before.filter(({ form }) => form !== 'Notes');
  return { overview, folded: notes.slice(0, foldCount), notes: notes.slice(foldCount), far, near, end };
}

interface Writing {
  readonly maxTokens: number;
  readonly maxInputTokens: number | undefined;
}

async function writtenOverview(input: CompressionInput, levels: Levels, writing: Writing): Promise<readonly Summary[]> {
  const { overview, folded, far, near } = levels;
  const fresh = [...folded.map(summaryGroup), ...input.groups.slice(far, near)];
  if (fresh.length === 0) return overview;
  const soFar = overview.map(({ text }) => text).join('\n\n');
  const text = await writeSummary(input, { form: 'Overview', soFar, groups: fresh, ...writing });
  const to = near > far ? messageCount(input.groups.slice(0, near)) : Math.max(...folded.map((note) => note.to));
  return [{ form: 'Overview', from: 1, to, text }];
}

async function writtenNotes(input: CompressionInput, levels: Levels, writing: Writing): Promise<readonly Summary[]> {
  const groups = input.groups.slice(levels.near, levels.end);
  if (groups.length === 0) return [];
  const text = await writeSummary(input, { form: 'Notes', soFar: '', groups, ...writing });
  const from = messageCount(input.groups.slice(0, levels.near)) + 1;
  return [{ form: 'Notes', from, to: from + messageCount(groups) - 1, text }];
}
