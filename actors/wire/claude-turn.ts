/**
 * One turn of Claude Code: from a user message to its result, cut into the rounds of its own tool loop.
 *
 * U1  A round ends with the calls that its model wants, or with the result of the turn. Each is given out once, in order.
 * U2  What comes while nobody waits is kept for whoever waits next: nothing of a round is lost between two model calls.
 * U3  Lines of a subagent (`parent_tool_use_id`) are no words of the agent's.
 */
import { TroupeError } from '../../src/core/errors.ts';
import type { ToolCall, ToolMessage, Usage } from '../../src/core/types.ts';
import { addUsage, unknownUsage } from '../../src/core/usage.ts';
import type { ModelEvent } from '../backend.ts';
import { ownServer } from './claude-tools.ts';
import { readApiUsage } from './claude-usage.ts';
import { asFields, asFieldsList, type Fields } from './fields.ts';
import type { ProcessExit } from './process.ts';

/** How a round ended. */
export type RoundEnd =
  | { readonly kind: 'calls'; readonly said: Said; readonly calls: readonly ToolCall[]; readonly usage: Usage }
  | { readonly kind: 'result'; readonly said: Said; readonly result: Fields }
  | { readonly kind: 'died'; readonly said: Said; readonly exit: ProcessExit }
  | { readonly kind: 'failed'; readonly said: Said; readonly error: TroupeError };

/** What the model said in a round. */
export interface Said {
  readonly text: string;
  readonly reasoning: string;
}

/** The prefix of the names under which Claude Code knows our tools. */
const ownToolPrefix = `mcp__${ownServer}__`;
const turnLines: ReadonlySet<unknown> = new Set(['stream_event', 'assistant', 'user', 'result']);
/** The tool by which it takes a structured answer; it is none of the agent's. */
const structuredOutput = 'StructuredOutput';

export class ClaudeTurn {
  /** Tokens of the rounds that ended with calls: a result counts them again. */
  told: Usage = unknownUsage;
  readonly #maxBytes: number;
  #text = '';
  #reasoning = '';
  #byteCount = 0;
  #calls: ToolCall[] = [];
  #usage: Usage = unknownUsage;
  /** Whether the message in hand came in pieces, so that its whole text is nothing new. */
  #inPieces = false;
  #unheard: ModelEvent[] = [];
  #listener: ((event: ModelEvent) => void) | undefined;
  readonly #ends: RoundEnd[] = [];
  #waiting: ((end: RoundEnd) => void) | undefined;
  /** The calls that Claude Code runs itself, by id. */
  readonly #hosted = new Map<string, HostedCall>();
  #over = false;
  #isHeard = false;
  #finish!: (result: Fields | undefined) => void;
  /** Resolves with the result of the turn; with undefined when it ends without one. */
  readonly finished = new Promise<Fields | undefined>((resolve) => {
    this.#finish = resolve;
  });

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether anything was heard since it began, or since its last round ended with calls. */
  get isHeard(): boolean {
    return this.#isHeard;
  }

  /** Whether its result, or its end without one, was seen. */
  get isOver(): boolean {
    return this.#over;
  }

  /** The end of the round in hand; what it says until then goes to `listener`, first what was said before. */
  next(listener: (event: ModelEvent) => void): Promise<RoundEnd> {
    for (const event of this.#unheard.splice(0)) listener(event);
    const end = this.#ends.shift();
    if (end !== undefined) return Promise.resolve(end);
    this.#listener = listener;
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** The result of a call that Claude Code runs itself; undefined for others. */
  hosted(callId: string): Promise<ToolMessage> | undefined {
    return this.#hosted.get(callId)?.result;
  }

  /** Takes one line of output that belongs to the turn; others are ignored. */
  take(line: Fields): void {
    const { type } = line;
    // Others tell of messages and of the process; one of them may even be of the turn before.
    if (!turnLines.has(type) || this.#over || (line['parent_tool_use_id'] ?? null) !== null) return;
    this.#isHeard = true;
    if (type === 'stream_event') this.#takeEvent(asFields(line['event']) ?? {});
    else if (type === 'assistant') this.#takeMessage(line, asFields(line['message']) ?? {});
    else if (type === 'user') this.#takeResults(asFields(line['message']) ?? {});
    else if (type === 'result') this.#end({ kind: 'result', said: this.#said(), result: line });
  }

  /** A tool was asked for or has run: the message that wanted it is complete, unless its pieces still come. */
  noteToolRuns(): void {
    if (!this.#inPieces) this.#endWithCalls();
  }

  /** The process is gone. */
  die(exit: ProcessExit): void {
    this.#end({ kind: 'died', said: this.#said(), exit });
  }

  /** The turn cannot go on. */
  fail(error: TroupeError): void {
    this.#end({ kind: 'failed', said: this.#said(), error });
  }

  #takeEvent(event: Fields): void {
    const { type } = event;
    if (type === 'message_start') {
      this.#inPieces = true;
      this.#takeUsage(asFields(asFields(event['message'])?.['usage']));
    } else if (type === 'content_block_delta') this.#takeDelta(asFields(event['delta']) ?? {});
    else if (type === 'message_delta') this.#takeUsage(asFields(event['usage']));
    else if (type === 'message_stop') {
      this.#inPieces = false;
      this.#endWithCalls();
    }
  }

  #takeDelta(delta: Fields): void {
    if (typeof delta['text'] === 'string') this.#say({ type: 'text-delta', text: delta['text'] });
    else if (typeof delta['thinking'] === 'string') this.#say({ type: 'reasoning-delta', text: delta['thinking'] });
    else if (delta['type'] === 'input_json_delta') this.#say({ type: 'tool-call-delta' });
  }

  /** The counts of a message come twice, the later ones final. */
  #takeUsage(usage: Fields | undefined): void {
    if (usage === undefined) return;
    const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens } = readApiUsage(usage);
    this.#usage = {
      inputTokens: inputTokens ?? this.#usage.inputTokens,
      outputTokens: outputTokens ?? this.#usage.outputTokens,
      cacheReadTokens: cacheReadTokens ?? this.#usage.cacheReadTokens,
      cacheWriteTokens: cacheWriteTokens ?? this.#usage.cacheWriteTokens,
    };
  }

  /** One finished block of a message. What the command says in the model's place, such as an error, is no answer. */
  #takeMessage(line: Fields, message: Fields): void {
    if (message['model'] === '<synthetic>' || line['is_api_error_message'] === true) return;
    for (const block of asFieldsList(message['content'])) {
      if (block['type'] === 'tool_use') this.#takeCall(block);
      else if (this.#inPieces) continue;
      else if (typeof block['text'] === 'string') this.#say({ type: 'text-delta', text: block['text'] });
      else if (typeof block['thinking'] === 'string') this.#say({ type: 'reasoning-delta', text: block['thinking'] });
    }
  }

  #takeCall({ id, name, input }: Fields): void {
    if (typeof id !== 'string' || typeof name !== 'string' || name === structuredOutput) return;
    const ownName = name.startsWith(ownToolPrefix) ? name.slice(ownToolPrefix.length) : name;
    this.#calls.push({ id, name: ownName, arguments: JSON.stringify(input ?? {}) });
    if (ownName === name) this.#hosted.set(id, new HostedCall(id, name));
  }

  #takeResults(message: Fields): void {
    for (const block of asFieldsList(message['content'])) {
      if (block['type'] !== 'tool_result' || typeof block['tool_use_id'] !== 'string') continue;
      this.noteToolRuns();
      this.#hosted.get(block['tool_use_id'])?.end(contentText(block['content']), block['is_error'] === true);
    }
  }

  #say(event: ModelEvent): void {
    if (event.type !== 'tool-call-delta') {
      this.#byteCount += event.text.length;
      if (this.#byteCount > this.#maxBytes) {
        this.fail(tooLarge(this.#maxBytes));
        return;
      }
      if (event.type === 'text-delta') this.#text += event.text;
      else this.#reasoning += event.text;
    }
    if (this.#listener === undefined) this.#unheard.push(event);
    else this.#listener(event);
  }

  #said(): Said {
    return { text: this.#text, reasoning: this.#reasoning };
  }

  #endWithCalls(): void {
    if (this.#calls.length === 0) return;
    const end: RoundEnd = { kind: 'calls', said: this.#said(), calls: this.#calls, usage: this.#usage };
    this.told = addUsage(this.told, this.#usage);
    this.#isHeard = false;
    this.#give(end);
  }

  #end(end: RoundEnd): void {
    if (this.#over) return;
    this.#over = true;
    const lost = end.kind === 'died' ? 'Its process ended first.' : 'Its turn ended first.';
    for (const call of this.#hosted.values()) call.end(`No result came. ${lost}`, true);
    this.#finish(end.kind === 'result' ? end.result : undefined);
    this.#give(end);
  }

  #give(end: RoundEnd): void {
    this.#text = '';
    this.#reasoning = '';
    this.#calls = [];
    this.#usage = unknownUsage;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#listener = undefined;
    if (waiting === undefined) this.#ends.push(end);
    else waiting(end);
  }
}

/** A call that runs elsewhere; the first end counts. */
class HostedCall {
  readonly result: Promise<ToolMessage>;
  readonly #call: Pick<ToolMessage, 'role' | 'callId' | 'name'>;
  #resolve!: (result: ToolMessage) => void;

  constructor(callId: string, name: string) {
    this.#call = { role: 'tool', callId, name };
    this.result = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  end(content: string, isError: boolean): void {
    this.#resolve({ ...this.#call, content, ...(isError ? { isError } : {}) });
  }
}

/** The text of a tool's result: a text, or a list of parts. */
function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  return asFieldsList(content)
    .map((part) => (typeof part['text'] === 'string' ? part['text'] : `[${String(part['type'])}]`))
    .join('\n');
}

function tooLarge(maxBytes: number): TroupeError {
  const message = `The answer passed ${maxBytes} characters. Raise \`maxReplyBytes\` if such answers are wanted.`;
  return new TroupeError('TROUPE_ERR_BACKEND_TOO_LARGE', message);
}
