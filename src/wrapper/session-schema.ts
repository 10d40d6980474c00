/** The lines of a session file, as a check. Loaded only when a session is read. */
import { z } from 'zod';
import type { Message } from '../core/types.ts';
import type { ModelSpend } from './spend.ts';

/** A message with the uuids under which it was shown. */
export interface Entry {
  readonly uuids: readonly string[];
  readonly message: Message;
}

const text = z.string();
const count = z.number().nonnegative();
const fields = z.record(z.string(), z.json());

const image = z.object({ mediaType: z.enum(['image/png', 'image/jpeg', 'image/gif', 'image/webp']), data: text });
const toolCall = z.object({ id: text, name: text, arguments: text });

const message = z.discriminatedUnion('role', [
  z.object({ role: z.literal('user'), content: text, images: z.array(image).exactOptional() }),
  z.object({
    role: z.literal('assistant'),
    content: text,
    reasoning: text.exactOptional(),
    toolCalls: z.array(toolCall).exactOptional(),
    thinking: z.object({ protocol: text, blocks: z.array(fields) }).exactOptional(),
    session: z.object({ backend: text, id: text, entry: text }).exactOptional(),
  }),
  z.object({ role: z.literal('tool'), callId: text, name: text, content: text, isError: z.boolean().exactOptional() }),
]) satisfies z.ZodType<Message>;

const spend = z.object({
  inputTokens: count,
  outputTokens: count,
  cacheReadInputTokens: count,
  cacheCreationInputTokens: count,
  costUSD: count,
  costBasis: z.enum(['list', 'unknown']),
}) satisfies z.ZodType<ModelSpend>;

/** One line. */
export const sessionLine = z.discriminatedUnion('type', [
  z.object({ type: z.literal('session'), version: z.literal(1), cwd: text, system: text.exactOptional() }),
  z.object({
    type: z.literal('turn'),
    entries: z.array(z.object({ uuids: z.array(text), message })),
    /** All that the session has spent. */
    spends: z.array(z.tuple([text, spend])),
  }),
  /** What follows goes on from the entry with this uuid. */
  z.object({ type: z.literal('rewind'), uuid: text }),
]);

export type SessionLine = z.infer<typeof sessionLine>;
