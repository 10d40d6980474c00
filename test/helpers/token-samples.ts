/** Texts of five kinds in pieces, as other tokenizers counted them, and requests as a server did. */
import { readFileSync } from 'node:fs';
import type { Message, ToolDefinition } from '../../src/core/types.ts';

export const textKinds = ['english', 'code', 'json', 'chinese', 'base64'] as const;

export type TextKind = (typeof textKinds)[number];

interface Recorded {
  readonly pieceCharacters: { readonly [Kind in TextKind]: readonly number[] };
  readonly tokenizers: readonly OtherTokenizer[];
}

export interface OtherTokenizer {
  readonly family: string;
  /** With its version. */
  readonly package: string;
  /** Of each piece. */
  readonly tokens: { readonly [Kind in TextKind]: readonly number[] };
}

export interface ServerCount {
  readonly recording: string;
  readonly inputTokens: number;
  readonly messages: readonly Message[];
  readonly tools?: readonly ToolDefinition[];
}

const folder = new URL('../fixtures/tokens/', import.meta.url);
const recorded: Recorded = JSON.parse(readFileSync(new URL('other-tokenizers.json', folder), 'utf8'));

export const otherTokenizers = recorded.tokenizers;

export const serverCounts: readonly ServerCount[] = JSON.parse(
  readFileSync(new URL('server-counts.json', folder), 'utf8'),
).requests;

/** The text of a kind. */
export function textOf(kind: TextKind): string {
  return readFileSync(new URL(`${kind}.txt`, folder), 'utf8');
}

/** The pieces of it that the other tokenizers counted. */
export function piecesOf(kind: TextKind): string[] {
  const text = textOf(kind);
  let start = 0;
  return recorded.pieceCharacters[kind].map((length) => {
    const piece = text.slice(start, start + length);
    start += length;
    return piece;
  });
}
