/** Parsing of JavaScript and TypeScript, and the little that rules need to move about in a syntax tree. */
import type { ParserOptions } from '@babel/parser';

/** A node of the tree; `child`, `children`, `word` and `flag` read what differs from type to type. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly loc: { readonly start: { readonly line: number }; readonly end: { readonly line: number } };
  readonly leadingComments?: readonly Comment[] | null;
}

export type FunctionNode = SyntaxNode & { readonly type: (typeof functionTypes)[number] };
export type LoopNode = SyntaxNode & { readonly type: (typeof loopTypes)[number] };
export type MemberNode = SyntaxNode & { readonly type: 'MemberExpression' | 'OptionalMemberExpression' };
export type CallNode = SyntaxNode & { readonly type: 'CallExpression' | 'OptionalCallExpression' };

export interface Comment {
  readonly type: 'CommentBlock' | 'CommentLine';
  readonly value: string;
  readonly start: number;
  readonly end: number;
  readonly loc: SyntaxNode['loc'];
}

export interface Syntax {
  readonly root: SyntaxNode;
  readonly comments: readonly Comment[];
}

const notChildren = new Set([
  'loc',
  'leadingComments',
  'trailingComments',
  'innerComments',
  'comments',
  'errors',
  'extra',
]);

export const functionTypes = [
  'FunctionDeclaration',
  'FunctionExpression',
  'ArrowFunctionExpression',
  'ObjectMethod',
  'ClassMethod',
  'ClassPrivateMethod',
] as const;
const functionTypeSet: ReadonlySet<string> = new Set(functionTypes);
const loopTypes = ['ForOfStatement', 'ForInStatement', 'ForStatement', 'WhileStatement', 'DoWhileStatement'] as const;
const loopTypeSet: ReadonlySet<string> = new Set(loopTypes);
const wrapperTypes: ReadonlySet<string> = new Set([
  'ParenthesizedExpression',
  'TSAsExpression',
  'TSSatisfiesExpression',
  'TSNonNullExpression',
  'TSTypeAssertion',
]);

/** Parses a file; throws when it holds a syntax error. The parser is loaded at the first call. */
export async function parseScript(path: string, text: string): Promise<Syntax> {
  const { parse } = await import('@babel/parser');
  const file = parse(text, { ...parserOptions, plugins: pluginsFor(path) });
  return { root: file.program as unknown as SyntaxNode, comments: (file.comments ?? []) as unknown as Comment[] };
}

const parserOptions: ParserOptions = {
  sourceType: 'unambiguous',
  allowReturnOutsideFunction: true,
  allowAwaitOutsideFunction: true,
  allowImportExportEverywhere: true,
  allowNewTargetOutsideFunction: true,
  allowSuperOutsideMethod: true,
  allowUndeclaredExports: true,
};

function pluginsFor(path: string): NonNullable<ParserOptions['plugins']> {
  const extension = path.slice(path.lastIndexOf('.') + 1);
  if (extension === 'tsx') return ['typescript', 'jsx', 'decorators-legacy', 'explicitResourceManagement'];
  if (extension.endsWith('ts')) return ['typescript', 'decorators-legacy', 'explicitResourceManagement'];
  return ['jsx', 'decorators-legacy', 'explicitResourceManagement'];
}

/** The node under a key. */
export function child(node: SyntaxNode | undefined, key: string): SyntaxNode | undefined {
  const value = fieldsOf(node)[key];
  return isNode(value) ? value : undefined;
}

/** The nodes of a list under a key; the holes of an array literal are left out. */
export function children(node: SyntaxNode | undefined, key: string): readonly SyntaxNode[] {
  const value = fieldsOf(node)[key];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** The string under a key: a name, an operator, the value of a string literal. */
export function word(node: SyntaxNode | undefined, key: string): string | undefined {
  const value = fieldsOf(node)[key];
  return typeof value === 'string' ? value : undefined;
}

/** Whether the value under a key is `true`. */
export function flag(node: SyntaxNode | undefined, key: string): boolean {
  return fieldsOf(node)[key] === true;
}

/** Whether an expression stands in parentheses of its own. */
export function isParenthesized(node: SyntaxNode): boolean {
  const extra = fieldsOf(node)['extra'] as { readonly parenthesized?: boolean } | undefined;
  return extra?.parenthesized === true;
}

/** The text of a template's piece, escapes resolved. */
export function templateText(node: SyntaxNode): string {
  const value = fieldsOf(node)['value'] as { readonly cooked?: string | null; readonly raw: string };
  return value.cooked ?? value.raw;
}

/** All nodes directly below a node. */
export function* below(node: SyntaxNode): Generator<SyntaxNode> {
  for (const [key, value] of Object.entries(node)) {
    if (notChildren.has(key)) continue;
    if (Array.isArray(value)) yield* value.filter(isNode);
    else if (isNode(value)) yield value;
  }
}

/** A node and all nodes below it, in source order; what `enter` refuses is left out with all below it. */
export function* within(node: SyntaxNode, enter: (node: SyntaxNode) => boolean = () => true): Generator<SyntaxNode> {
  const stack = [node];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    yield next;
    const inner = [...below(next)].filter(enter);
    for (let index = inner.length - 1; index >= 0; index -= 1) {
      const last = inner[index];
      if (last !== undefined) stack.push(last);
    }
  }
}

/** As `within`, but not into functions inside it. */
export function withinFunction(node: SyntaxNode): Generator<SyntaxNode> {
  return within(node, (inner) => !isFunction(inner));
}

/** Whether a node is a function, method or arrow function. */
export function isFunction(node: SyntaxNode | undefined): node is FunctionNode {
  return node !== undefined && functionTypeSet.has(node.type);
}

/** Whether a node is a loop statement. */
export function isLoop(node: SyntaxNode | undefined): node is LoopNode {
  return node !== undefined && loopTypeSet.has(node.type);
}

/** Whether a node is `a.b`, `a[b]` or `a?.b`. */
export function isMember(node: SyntaxNode | undefined): node is MemberNode {
  return node?.type === 'MemberExpression' || node?.type === 'OptionalMemberExpression';
}

/** Whether a node is `a()` or `a?.()`. */
export function isCall(node: SyntaxNode | undefined): node is CallNode {
  return node?.type === 'CallExpression' || node?.type === 'OptionalCallExpression';
}

/** The expression inside type assertions and parentheses. */
export function bare(node: SyntaxNode): SyntaxNode;
export function bare(node: SyntaxNode | undefined): SyntaxNode | undefined;
export function bare(node: SyntaxNode | undefined): SyntaxNode | undefined {
  let inner = node;
  while (inner !== undefined && wrapperTypes.has(inner.type)) inner = child(inner, 'expression');
  return inner;
}

/** The name that a key, a declaration's id, an identifier or a member access gives; undefined when it is computed. */
export function nameOf(node: SyntaxNode | undefined): string | undefined {
  if (node === undefined) return undefined;
  if (node.type === 'Identifier' || node.type === 'JSXIdentifier') return word(node, 'name');
  if (node.type === 'StringLiteral') return word(node, 'value');
  if (node.type === 'PrivateName') return nameOf(child(node, 'id'));
  if (!isMember(node)) return undefined;
  const property = child(node, 'property');
  return flag(node, 'computed') && property?.type !== 'StringLiteral' ? undefined : nameOf(property);
}

/** The last name of what is called: `run` of `run()`, `a.run()` and `a?.run()`. */
export function calleeName(call: SyntaxNode): string | undefined {
  const callee = child(call, 'callee');
  return callee?.type === 'StringLiteral' ? undefined : nameOf(callee);
}

/** What a method is called on. */
export function receiver(call: SyntaxNode): SyntaxNode | undefined {
  const callee = child(call, 'callee');
  return isMember(callee) ? bare(child(callee, 'object')) : undefined;
}

/** The key of a property or method; undefined when it is computed. */
export function keyOf(node: SyntaxNode): string | undefined {
  return flag(node, 'computed') ? undefined : nameOf(child(node, 'key'));
}

/** The names that a pattern declares. */
export function* patternNames(pattern: SyntaxNode | undefined): Generator<SyntaxNode> {
  if (pattern === undefined) return;
  if (pattern.type === 'Identifier') yield pattern;
  else if (pattern.type === 'AssignmentPattern') yield* patternNames(child(pattern, 'left'));
  else if (pattern.type === 'RestElement') yield* patternNames(child(pattern, 'argument'));
  else if (pattern.type === 'TSParameterProperty') yield* patternNames(child(pattern, 'parameter'));
  else if (pattern.type === 'ObjectProperty') yield* patternNames(child(pattern, 'value'));
  else if (pattern.type === 'ArrayPattern') for (const part of children(pattern, 'elements')) yield* patternNames(part);
  else if (pattern.type === 'ObjectPattern')
    for (const part of children(pattern, 'properties')) yield* patternNames(part);
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

function fieldsOf(node: SyntaxNode | undefined): Record<string, unknown> {
  return (node ?? {}) as unknown as Record<string, unknown>;
}
