/** What a rule over JavaScript and TypeScript is, and the questions that several rules ask. */
import type { Domain, Hit, Severity } from './finding.ts';
import type { Source } from './source.ts';
import { calleeName, child, children, isCall, isFunction, isLoop, receiver, type SyntaxNode } from './syntax.ts';

/** One rule: it says nothing that is not true of the source that it is given. */
export interface Rule {
  readonly name: string;
  readonly domain: Domain;
  readonly severity: Severity;
  /** Also for tests, examples and benchmarks. */
  readonly everywhere?: boolean;
  readonly check: (source: Source) => Iterable<Hit>;
}

/** Something that runs its body once per element: a loop statement, or a callback of `map`, `forEach` and the like. */
export interface Loop {
  readonly node: SyntaxNode;
  readonly body: SyntaxNode;
  /** What a `for-of` or a callback goes over. */
  readonly over?: SyntaxNode;
  /** The patterns that hold the element. */
  readonly variables: readonly SyntaxNode[];
}

const iterators = new Set(['map', 'forEach', 'filter', 'flatMap', 'some', 'every', 'find', 'findIndex', 'reduce']);

/** The line where a node or comment starts. */
export function lineOf(node: { readonly loc: SyntaxNode['loc'] }): number {
  return node.loc.start.line;
}

/** Whether a file is a program that somebody starts: a command, a script, a build step. Blocking and printing are fine there. */
export function isProgram(source: Source): boolean {
  const folder = /(^|\/)(cli|bin|scripts?|tools?|build|config|release|deploy|extra)(\/|\.|-|$)|(grunt|gulp)file\./i;
  return folder.test(source.path) || source.text.startsWith('#!') || source.text.includes('process.exit(');
}

/** The innermost loop that runs a node at every turn; a function in between ends the search. */
export function loopAround(node: SyntaxNode, source: Source): Loop | undefined {
  let inner = node;
  for (const ancestor of source.ancestors(node)) {
    if (isLoop(ancestor) && child(ancestor, 'body') === inner) return loopStatement(ancestor);
    if (isFunction(ancestor)) return callbackLoop(ancestor, source);
    inner = ancestor;
  }
  return undefined;
}

/** A function that is given to `map`, `forEach`, …, as a loop. */
function callbackLoop(callback: SyntaxNode, source: Source): Loop | undefined {
  const call = source.parent(callback);
  const body = child(callback, 'body');
  if (!isCall(call) || body === undefined || children(call, 'arguments')[0] !== callback) return undefined;
  const over = receiver(call);
  if (over === undefined || !iterators.has(calleeName(call) ?? '')) return undefined;
  return { node: call, body, over, variables: children(callback, 'params') };
}

function loopStatement(node: SyntaxNode): Loop | undefined {
  const body = child(node, 'body');
  if (body === undefined) return undefined;
  const over = node.type === 'ForOfStatement' ? child(node, 'right') : undefined;
  const left = child(node, 'left');
  const variables = left?.type === 'VariableDeclaration' ? children(left, 'declarations').flatMap(declared) : [];
  return { node, body, variables, ...(over && { over }) };
}

function declared(declarator: SyntaxNode): SyntaxNode[] {
  const id = child(declarator, 'id');
  return id === undefined ? [] : [id];
}
