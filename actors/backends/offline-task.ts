/** What the offline backend is asked to do, read from the messages of one request. */
import type { Message, ModelParameters } from '../../src/core/types.ts';
import { type Domain, domains } from '../rules/finding.ts';

/** One request, understood. */
export interface Task {
  readonly prompt: string;
  readonly domains: readonly Domain[];
  readonly wantsJson: boolean;
  /** The answer must be JSON and nothing else, whatever it is about. */
  readonly mustBeJson: boolean;
  /** What the tools gave since the prompt, in order. */
  readonly results: readonly ToolResult[];
  readonly messageCount: number;
}

/** One finished tool call. */
export interface ToolResult {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly content: string;
  readonly isError: boolean;
}

/** Reads a request: its last prompt, its subjects, and the tool results that came since. */
export function taskOf(messages: readonly Message[], parameters: ModelParameters): Task {
  const at = messages.findLastIndex(({ role }) => role === 'user');
  const prompt = messages[at]?.content ?? '';
  const system = messages.find(({ role }) => role === 'system')?.content ?? '';
  const mustBeJson = parameters.responseFormat !== undefined;
  const words = [system, prompt].map((text) => text.replace(/```[\s\S]*?```/g, ''));
  return {
    prompt,
    domains: domainsIn(words),
    wantsJson: mustBeJson || words.some((text) => /(?<![.\w])JSON\b/i.test(text)),
    mustBeJson,
    results: toolResults(messages.slice(at + 1)),
    messageCount: messages.length,
  };
}

/** A JSON object; undefined for any other text. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined; // whoever wrote it may have written anything
  }
}

/** The one subject that the system message or the prompt names; all of them when it is none or several. */
function domainsIn(words: readonly string[]): readonly Domain[] {
  const said = String.raw`\b(security|performance|style|docs|documentation)\b`;
  for (const pattern of [`${said}\\s+(?:expert|review)`, said]) {
    for (const text of words) {
      const found = new Set([...text.matchAll(new RegExp(pattern, 'gi'))].map((match) => toDomain(match[1] ?? '')));
      if (found.size === 1) return [...found];
    }
  }
  return domains;
}

function toDomain(word: string): Domain {
  const lower = word.toLowerCase();
  return domains.find((domain) => domain === lower) ?? 'docs';
}

function toolResults(messages: readonly Message[]): readonly ToolResult[] {
  const given = new Map(messages.flatMap((message) => (message.role === 'tool' ? [[message.callId, message]] : [])));
  const calls = messages.flatMap((message) => (message.role === 'assistant' ? (message.toolCalls ?? []) : []));
  return calls.flatMap((call) => {
    const result = given.get(call.id);
    if (result === undefined) return [];
    const { content, isError = false } = result;
    return [{ name: call.name, args: parseObject(call.arguments) ?? {}, content, isError }];
  });
}
