/** A streamed answer on a terminal: its text on standard output, what a person should know on standard error. */
import type { ToolCall } from '../core/types.ts';
import type { Reply } from '../runtime/reply.ts';
import type { ReplyStream } from '../runtime/reply-stream.ts';
import { note, oneLine, plain } from './terminal.ts';

/**
 * Prints the answer while it arrives, without control codes, and ends its last line. Rejects with what the ask fails with.
 * `decide` is called for each tool call that somebody must allow.
 */
export async function showAnswer(stream: ReplyStream, decide?: (call: ToolCall) => Promise<void>): Promise<void> {
  let endsLine = true;
  const endLine = () => {
    if (!endsLine) process.stdout.write('\n');
    endsLine = true;
  };
  try {
    for await (const event of stream) {
      if (event.type === 'text-delta') {
        const text = plain(event.text);
        process.stdout.write(text);
        if (text !== '') endsLine = text.endsWith('\n');
      } else if (event.type === 'approval-needed') {
        endLine();
        await decide?.(event.call);
      } else if (event.type === 'retry') note(`Trying again: ${oneLine(event.error.message)}`);
      else if (event.type === 'fallback') note(`Going on with ${event.backend}: ${oneLine(event.error.message)}`);
    }
    endLine();
    tellEnd(await stream.reply);
  } finally {
    endLine();
  }
}

/** An answer that is not whole must not look like one. */
function tellEnd({ finishReason, text }: Reply): void {
  const { unified } = finishReason;
  if (unified === 'length') note('The answer was cut at the token limit.');
  else if (unified === 'content-filter') note('The answer was stopped by a content filter.');
  else if (text === '') note('The answer has no text.');
}
