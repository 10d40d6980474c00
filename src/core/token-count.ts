/**
 * Tokens of a text or a request, apart by what they stand for. Vocabularies differ by that and not as a whole: a year
 * is one token or four, a Chinese sentence twenty or forty, an English one the same in all of them.
 */

/**
 * Tokens of words in letters of ASCII, of words with any other character, of digits, of symbols and white space; of
 * what templates put around messages; of the definitions of tools; of pictures.
 */
export const tokenKinds = ['latin', 'script', 'digits', 'symbols', 'template', 'tools', 'images'] as const;

export type TokenKind = (typeof tokenKinds)[number];

export type TokenCount = { readonly [Kind in TokenKind]: number };

/** The count of nothing. */
export const noTokens: TokenCount = { latin: 0, script: 0, digits: 0, symbols: 0, template: 0, tools: 0, images: 0 };

/** The sum of counts, kind by kind. */
export function addCounts(counts: Iterable<TokenCount>): TokenCount {
  const sum = { ...noTokens };
  for (const count of counts) for (const kind of tokenKinds) sum[kind] += count[kind];
  return sum;
}

/** All tokens of a count. */
export function totalOf(count: TokenCount): number {
  return tokenKinds.reduce((sum, kind) => sum + count[kind], 0);
}
