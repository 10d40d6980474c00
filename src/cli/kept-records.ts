/**
 * An exported agent, one JSON line a record: a header, the agent, its groups, its view if it has one.
 *
 * X1  What is read is data: fields that nobody knows are dropped, and so is what would start a program or go on in somebody's session.
 * X2  What does not fit is refused with the number of its line, and nothing of the file is taken.
 */
import { z } from 'zod';
import type { StoredAgent, StoredView } from '../../actors/store/store.ts';
import type { Group } from '../core/conversation.ts';
import { reasonOf, TroupeError } from '../core/errors.ts';
import type { AssistantMessage, Message } from '../core/types.ts';
import { assertValidMessages } from '../testing/messages.ts';

/** What the header says of a file. */
export const keptFormat = { format: 'troupe-agent', version: 1 } as const;

const text = z.string();
const count = z.int().nonnegative();
const fields = z.record(z.string(), z.json());

const image = z.object({ mediaType: z.enum(['image/png', 'image/jpeg', 'image/gif', 'image/webp']), data: text });
const toolCall = z.object({ id: text, name: text, arguments: text });

/** Without a mark of a backend's session, which is another machine's. */
const assistant = z.object({
  role: z.literal('assistant'),
  content: text,
  reasoning: text.exactOptional(),
  toolCalls: z.array(toolCall).exactOptional(),
  thinking: z.object({ protocol: text, blocks: z.array(fields) }).exactOptional(),
}) satisfies z.ZodType<AssistantMessage>;

const message = z.discriminatedUnion('role', [
  z.object({ role: z.literal('user'), content: text, images: z.array(image).exactOptional() }),
  assistant,
  z.object({ role: z.literal('tool'), callId: text, name: text, content: text, isError: z.boolean().exactOptional() }),
]) satisfies z.ZodType<Message>;

const group = z
  .array(message)
  .nonempty()
  .superRefine((messages, { addIssue }) => {
    try {
      assertValidMessages(messages);
    } catch (error) {
      addIssue(reasonOf(error));
    }
  });

const header = z.object({
  record: z.literal('header'),
  format: z.literal(keptFormat.format),
  version: z.literal(keptFormat.version),
  /** How many group records follow. */
  groups: count,
});

const agent = z.object({
  record: z.literal('agent'),
  name: text,
  backend: text.nonempty(),
  model: text.exactOptional(),
  system: text.exactOptional(),
  spec: fields.transform(({ tools: _code, mcp: _programs, ...data }) => data).exactOptional(),
  /** Milliseconds since the epoch. */
  createdAt: z.number(),
});

const groupRecord = z.object({ record: z.literal('group'), messages: group });

const view = z.object({ record: z.literal('view'), groupCount: count, head: z.array(group), kept: z.array(count) });

/** One line. */
export type KeptRecord =
  | z.infer<typeof header>
  | ({ readonly record: 'agent' } & StoredAgent)
  | { readonly record: 'group'; readonly messages: Group }
  | ({ readonly record: 'view' } & StoredView);

/** An agent as a file tells of it. */
export interface KeptCopy {
  readonly agent: StoredAgent;
  readonly groups: readonly Group[];
  readonly view?: StoredView;
}

/** Reads the lines of a file. Throws `TROUPE_ERR_OPTION_INVALID` with the number of the first that is wrong. */
export function readRecords(path: string, content: string): KeptCopy {
  const lines = new Lines(path, content);
  const { groups: groupCount } = lines.take(header);
  const { record: _agent, ...stored } = lines.take(agent);
  const groups: Group[] = [];
  while (groups.length < groupCount) groups.push(lines.take(groupRecord).messages);
  if (lines.isOver) return { agent: stored, groups };
  const { record: _view, ...sent } = lines.take(view);
  const isInOrder = sent.kept.every((number, index) => number > (sent.kept[index - 1] ?? -1));
  const isInside = sent.groupCount <= groupCount && sent.kept.every((number) => number < sent.groupCount);
  if (!isInOrder || !isInside) lines.refuse('`kept` and `groupCount` do not fit the groups');
  if (!lines.isOver) lines.refuse('there is more behind the view', 1);
  return { agent: stored, groups, view: sent };
}

/** The lines of a file, one after the other. */
class Lines {
  readonly #path: string;
  readonly #lines: readonly string[];
  #taken = 0;

  constructor(path: string, content: string) {
    this.#path = path;
    this.#lines = content
      .replace(/^\ufeff/, '')
      .replace(/\s+$/, '')
      .split('\n');
  }

  get isOver(): boolean {
    return this.#taken === this.#lines.length;
  }

  /** The next line as a record of this form. */
  take<Form extends z.ZodType>(form: Form): z.infer<Form> {
    const line = this.#lines[this.#taken];
    if (line === undefined) return this.refuse('the file ends before it: it was cut', 1);
    this.#taken += 1;
    const { data, error } = form.safeParse(this.#parse(line));
    if (error === undefined) return data as z.infer<Form>;
    const [issue] = error.issues;
    const where = issue?.path.join('.') ?? '';
    return this.refuse(`${where === '' ? '' : `\`${where}\`: `}${issue?.message}`);
  }

  /** Refuses the line that was taken last, or one after it. */
  refuse(what: string, after = 0): never {
    const message = `${this.#path}, line ${this.#taken + after}: ${what}. \`troupe export\` writes such files.`;
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
  }

  #parse(line: string): unknown {
    try {
      return JSON.parse(line);
    } catch {
      return this.refuse('it is no JSON');
    }
  }
}
