/** Style rules on the shape of functions: length, depth, parameters, and where control goes. */
import type { Hit } from './finding.ts';
import { lineOf, type Rule } from './rule.ts';
import type { Source } from './source.ts';
import { child, children, functionTypes, isFunction, isLoop, type SyntaxNode } from './syntax.ts';

const longestFunction = 80;
const deepestNesting = 5;
const mostParameters = 6;

/** The style rules on the shape of functions. */
export const shapeRules: readonly Rule[] = [
  { name: 'long-function', domain: 'style', severity: 'low', check: longFunction },
  { name: 'deep-nesting', domain: 'style', severity: 'low', check: deepNesting },
  { name: 'many-parameters', domain: 'style', severity: 'low', check: manyParameters },
  { name: 'fallthrough', domain: 'style', severity: 'medium', check: fallthrough },
  { name: 'unreachable', domain: 'style', severity: 'medium', check: unreachable },
];

/** More lines than one can keep in mind; functions inside it are counted on their own. */
function* longFunction(source: Source): Generator<Hit> {
  for (const node of source.nodes(...functionTypes)) {
    if (node.loc.end.line - node.loc.start.line < longestFunction) continue;
    const lines = ownLines(node, source);
    if (lines <= longestFunction) continue;
    yield {
      line: lineOf(node),
      title: `${nameFor(node, source)} has ${lines} lines`,
      detail: `Blank lines, comments and inner functions are not counted. More than ${longestFunction} lines are hard to keep in mind at once.`,
      suggestion: 'Take steps that have a name of their own out into functions.',
    };
  }
}

/** The lines of a function that hold code, without those of functions inside it. */
function ownLines(node: SyntaxNode, source: Source): number {
  const counted = new Set<number>();
  for (let line = node.loc.start.line; line <= node.loc.end.line; line += 1) {
    if (source.lines[line - 1]?.trim() !== '') counted.add(line);
  }
  const drop = (lines: { readonly start: number; readonly end: number }) => {
    for (let line = lines.start; line <= lines.end; line += 1) counted.delete(line);
  };
  for (const comment of source.comments) {
    const alone = source.lines[comment.loc.start.line - 1]?.trim() ?? '';
    if (comment.start < node.start || comment.end > node.end || !/^(\/\/|\/\*)/.test(alone)) continue;
    drop({ start: comment.loc.start.line, end: comment.loc.end.line });
  }
  for (const inner of source.nodes(...functionTypes)) {
    if (inner.start > node.start && inner.end <= node.end)
      drop({ start: inner.loc.start.line + 1, end: inner.loc.end.line });
  }
  return counted.size;
}

/** Control statements inside each other. */
function* deepNesting(source: Source): Generator<Hit> {
  const told = new Set<SyntaxNode | undefined>();
  for (const node of source.nodes(...nestingTypes)) {
    const around = source.functionOf(node);
    if (told.has(around) || depthOf(node, source) <= deepestNesting) continue;
    told.add(around);
    yield {
      line: lineOf(node),
      title: `${depthOf(node, source)} control statements inside each other`,
      detail: 'To understand this line, the conditions of all statements around it must be kept in mind.',
      suggestion: 'Return early, or take the inner part out into a function.',
    };
  }
}

const nestingTypes = [
  'IfStatement',
  'ForStatement',
  'ForOfStatement',
  'ForInStatement',
  'WhileStatement',
  'DoWhileStatement',
  'SwitchStatement',
  'TryStatement',
];

function depthOf(node: SyntaxNode, source: Source): number {
  let depth = isElseIf(node, source) ? 0 : 1;
  for (const ancestor of source.ancestors(node)) {
    if (isFunction(ancestor)) break;
    if (nestingTypes.includes(ancestor.type) && !isElseIf(ancestor, source)) depth += 1;
  }
  return depth;
}

function isElseIf(node: SyntaxNode, source: Source): boolean {
  const parent = source.parent(node);
  return node.type === 'IfStatement' && parent?.type === 'IfStatement' && child(parent, 'alternate') === node;
}

function* manyParameters(source: Source): Generator<Hit> {
  for (const node of source.nodes(...functionTypes)) {
    const parameters = children(node, 'params').filter((one) => one.type !== 'TSParameterProperty');
    const isCallback = /Expression$/.test(node.type) && source.functionName(node) === undefined;
    if (parameters.length <= mostParameters || isCallback) continue;
    yield {
      line: lineOf(node),
      title: `${nameFor(node, source)} takes ${parameters.length} parameters`,
      detail: 'At the place of the call nobody sees which argument is which.',
      suggestion: 'Take one object with named fields.',
    };
  }
}

/** A case that runs on into the next one without saying so. */
function* fallthrough(source: Source): Generator<Hit> {
  for (const node of source.nodes('SwitchStatement')) {
    const cases = children(node, 'cases');
    for (const [index, one] of cases.entries()) {
      const next = cases[index + 1];
      const statements = children(one, 'consequent');
      if (next === undefined || statements.length === 0 || !runsOn(statements, source)) continue;
      const last = statements.at(-1);
      const isExplained = source.comments.some(({ start, end }) => end <= next.start && start >= (last?.start ?? 0));
      if (isExplained) continue;
      yield {
        line: lineOf(next),
        title: 'The case before runs on into this one',
        detail: `The case of line ${lineOf(one)} does not end with break or return, and no comment says that this is meant.`,
        suggestion: 'End it with break, or say "falls through" in a comment.',
      };
    }
  }
}

/** Code after the statement that leaves its block. */
function* unreachable(source: Source): Generator<Hit> {
  for (const block of source.nodes('BlockStatement', 'SwitchCase')) {
    const statements = children(block, block.type === 'SwitchCase' ? 'consequent' : 'body');
    const at = statements.findIndex(({ type }) => leaving.test(type));
    const dead = at < 0 ? undefined : statements.slice(at + 1).find(doesSomething);
    const leave = statements[at];
    if (dead === undefined || leave === undefined || /^(Break)/.test(dead.type)) continue;
    yield {
      line: lineOf(dead),
      title: 'This code never runs',
      detail: `Line ${lineOf(leave)} leaves the block before it.`,
      suggestion: 'Remove it, or move it before the statement that leaves.',
    };
  }
}

const leaving = /^(Return|Throw|Break|Continue)Statement$/;

function doesSomething(statement: SyntaxNode): boolean {
  if (/^(FunctionDeclaration|EmptyStatement|ClassDeclaration|TS\w+)$/.test(statement.type)) return false;
  if (statement.type !== 'VariableDeclaration') return true;
  return children(statement, 'declarations').some((one) => child(one, 'init') !== undefined);
}

/** Whether control can go past the end of some statements. When in doubt, no. */
function runsOn(statements: readonly SyntaxNode[], source: Source): boolean {
  const last = statements.at(-1);
  return last === undefined || !statements.some((statement) => leaves(statement, source));
}

function leaves(statement: SyntaxNode | undefined, source: Source): boolean {
  if (statement === undefined) return false;
  if (leaving.test(statement.type)) return true;
  if (statement.type === 'BlockStatement') return children(statement, 'body').some((one) => leaves(one, source));
  if (statement.type === 'IfStatement') {
    return leaves(child(statement, 'consequent'), source) && leaves(child(statement, 'alternate'), source);
  }
  if (statement.type === 'ExpressionStatement') return isNeverReturning(statement, source);
  return isLoop(statement) || /^(Switch|Try|Labeled|With)Statement$/.test(statement.type);
}

/** A call that, by its name, does not come back. */
function isNeverReturning(statement: SyntaxNode, source: Source): boolean {
  return /exit|fail|throw|abort|unreachable|assertNever|panic|raise|error/i.test(
    source.textOf(statement).slice(0, 200),
  );
}

function nameFor(node: SyntaxNode, source: Source): string {
  const name = source.functionName(node);
  return name === undefined ? 'This function' : `\`${name}\``;
}
