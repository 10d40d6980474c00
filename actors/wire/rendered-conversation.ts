/**
 * A conversation as one text, for a backend that takes nothing but user messages: Claude Code begins a session with it.
 * Everything that a text can carry is in it, in order; pictures are returned apart. Thinking stays behind.
 */
import type { Image, Message } from '../../src/core/types.ts';

/** What one user message says. */
export interface RenderedPrompt {
  readonly text: string;
  readonly images: readonly Image[];
}

/** The messages as one prompt. A single user message is its own text; of more, the last user message is what is asked. */
export function renderPrompt(messages: readonly Message[]): RenderedPrompt {
  const last = messages.at(-1);
  const images = messages.flatMap((message) => (message.role === 'user' ? (message.images ?? []) : []));
  if (messages.length === 1 && last?.role === 'user') return { text: last.content, images };
  const asked = last?.role === 'user' ? last : undefined;
  const before = asked === undefined ? messages : messages.slice(0, -1);
  const said = before.map(render).join('\n');
  const rest = asked === undefined ? 'Go on from here.' : `Go on from here. The user now says:\n\n${asked.content}`;
  return { text: `This is what was said in our conversation meanwhile, oldest first.\n\n${said}\n\n${rest}`, images };
}

function render(message: Message): string {
  const { role, content } = message;
  if (role === 'tool') {
    const kind = message.isError === true ? ' error="true"' : '';
    return `<tool-result call="${quoted(message.callId)}" name="${quoted(message.name)}"${kind}>\n${inert(content)}\n</tool-result>`;
  }
  const calls = role === 'assistant' ? (message.toolCalls ?? []) : [];
  const lines = calls.map(
    ({ id, name, arguments: text }) =>
      `<tool-call id="${quoted(id)}" name="${quoted(name)}">\n${inert(text)}\n</tool-call>`,
  );
  const pictures = role === 'user' ? (message.images ?? []).map(() => '[a picture, attached]') : [];
  const body = [...pictures, ...(content === '' ? [] : [inert(content)]), ...lines].join('\n');
  return `<${role}>\n${body}\n</${role}>`;
}

/** Text that cannot open or close one of our marks: what a tool read somewhere must not speak for the user. */
function inert(text: string): string {
  return text.replace(/<(?=\/?(?:system|user|assistant|tool-call|tool-result)\b)/gi, '&lt;');
}

function quoted(text: string): string {
  return text.replaceAll('"', '&quot;').replace(/[<\n]/g, ' ');
}
