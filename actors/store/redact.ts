/** What a redaction sees of what is stored: every text that a person, a model or a tool wrote. */
import type { Group } from '../../src/core/conversation.ts';
import type { AssistantMessage, Json, Message } from '../../src/core/types.ts';
import type { AskOutcome, StoredAgent, StoredAsk, StoredView } from './store.ts';

/** Takes what must not be stored out of a text. */
export type Redact = (text: string) => string;

/** The system message of an agent. */
export function redactAgent(agent: StoredAgent, redact: Redact): StoredAgent {
  return agent.system === undefined ? agent : { ...agent, system: redact(agent.system) };
}

/** The texts of all messages of a group. Pictures are kept. */
export function redactGroup(group: Group, redact: Redact): Group {
  return group.map((message) => redactMessage(message, redact));
}

/** What a model said, with the arguments of its calls. */
export function redactAnswer({ thinking, ...message }: AssistantMessage, redact: Redact): AssistantMessage {
  // Signed thinking is whole or worth nothing to who signed it.
  const isClean = thinking === undefined || redact(JSON.stringify(thinking)) === JSON.stringify(thinking);
  return {
    ...message,
    content: redact(message.content),
    ...(message.reasoning === undefined ? {} : { reasoning: redact(message.reasoning) }),
    ...(message.toolCalls === undefined
      ? {}
      : { toolCalls: message.toolCalls.map((call) => ({ ...call, arguments: redact(call.arguments) })) }),
    ...(isClean && thinking !== undefined ? { thinking } : {}),
  };
}

export function redactView(view: StoredView, redact: Redact): StoredView {
  return { ...view, head: view.head.map((group) => redactGroup(group, redact)) };
}

export function redactAsk(ask: StoredAsk, redact: Redact): StoredAsk {
  return { ...ask, prompt: redact(ask.prompt) };
}

export function redactOutcome(outcome: AskOutcome, redact: Redact): AskOutcome {
  if (outcome.kind === 'error') return { ...outcome, message: redact(outcome.message) };
  const { reply } = outcome;
  return {
    ...outcome,
    reply: {
      ...reply,
      text: redact(reply.text),
      ...(reply.reasoning === undefined ? {} : { reasoning: redact(reply.reasoning) }),
      ...(reply.output === undefined ? {} : { output: redactJson(reply.output, redact) }),
      attempts: reply.attempts.map((attempt) =>
        attempt.error === undefined
          ? attempt
          : { ...attempt, error: { ...attempt.error, message: redact(attempt.error.message) } },
      ),
    },
  };
}

function redactMessage(message: Message, redact: Redact): Message {
  return message.role === 'assistant'
    ? redactAnswer(message, redact)
    : { ...message, content: redact(message.content) };
}

function redactJson(value: Json, redact: Redact): Json {
  return JSON.parse(JSON.stringify(value), (_key, part) => (typeof part === 'string' ? redact(part) : part));
}
