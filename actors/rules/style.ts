/** Style rules on single statements: what is misleading, left over, or not what it looks like. */
import type { Hit } from './finding.ts';
import { isConstant } from './flow.ts';
import { isProgram, lineOf, type Rule } from './rule.ts';
import type { Source } from './source.ts';
import {
  calleeName,
  child,
  children,
  flag,
  functionTypes,
  isCall,
  isMember,
  isParenthesized,
  keyOf,
  nameOf,
  receiver,
  type SyntaxNode,
  word,
} from './syntax.ts';

const mostLeftOver = 2;

/** The style rules on single statements. */
export const statementRules: readonly Rule[] = [
  { name: 'empty-catch', domain: 'style', severity: 'medium', check: emptyCatch },
  { name: 'mixed-var', domain: 'style', severity: 'low', check: mixedVar },
  { name: 'loose-equality', domain: 'style', severity: 'low', check: looseEquality },
  { name: 'debugger', domain: 'style', severity: 'medium', everywhere: true, check: debuggerStatement },
  { name: 'console-log', domain: 'style', severity: 'low', check: consoleLog },
  { name: 'duplicate-key', domain: 'style', severity: 'high', everywhere: true, check: duplicateKey },
  { name: 'assignment-in-condition', domain: 'style', severity: 'medium', check: assignmentInCondition },
  { name: 'exported-any', domain: 'style', severity: 'low', check: exportedAny },
  { name: 'todo', domain: 'style', severity: 'low', check: todo },
];

/** A catch block that hides the error and does not say why. */
function* emptyCatch(source: Source): Generator<Hit> {
  for (const clause of source.nodes('CatchClause')) {
    const body = child(clause, 'body');
    if (body === undefined || children(body, 'body').length > 0) continue;
    const lastLine = clause.loc.end.line;
    if (source.comments.some(({ start, loc }) => start > clause.start && loc.start.line <= lastLine)) continue;
    const tried = source.parent(clause);
    const first = children(child(tried, 'block'), 'body')[0];
    if ([tried, first].some((node) => node !== undefined && isCommented(source, node))) continue;
    yield {
      line: lineOf(clause),
      title: 'Every error is dropped here',
      detail: 'The catch block is empty and no comment says why: errors of every kind end here, unexpected ones too.',
      suggestion: 'Handle the expected error and rethrow others, or say in a comment why none matters.',
      ...(child(clause, 'param') === undefined && { severity: 'low' }),
    };
  }
}

/** `var` where the rest of the file uses `let` and `const`. */
function* mixedVar(source: Source): Generator<Hit> {
  const all = source.nodes('VariableDeclaration');
  const old = all.filter(
    (node) =>
      word(node, 'kind') === 'var' && !flag(node, 'declare') && !inDeclaration(node, source) && !isCompiled(node),
  );
  const [first] = old;
  if (first === undefined || old.length * 2 > all.length) return;
  yield {
    line: lineOf(first),
    title: old.length === 1 ? 'One `var` among `let` and `const`' : `${old.length} \`var\` among \`let\` and \`const\``,
    detail:
      'A `var` belongs to the whole function, also before its line and outside its block, unlike the other declarations here.',
    suggestion: 'Use `const`, or `let` where it is assigned again.',
  };
}

/** `==` and `!=` that convert. */
function* looseEquality(source: Source): Generator<Hit> {
  for (const node of source.nodes('BinaryExpression')) {
    const operator = word(node, 'operator');
    if (operator !== '==' && operator !== '!=') continue;
    const sides = [child(node, 'left'), child(node, 'right')];
    if (sides.some((side) => side === undefined || isNothing(side) || word(side, 'operator') === 'typeof')) continue;
    if (source.comments.some(({ loc }) => loc.end.line === lineOf(node) - 1)) continue;
    yield {
      line: lineOf(node),
      title: `\`${operator}\` converts before it compares`,
      detail: `With \`${operator}\`, values of different types can count as equal: 0 == '' and '1' == 1 are true.`,
      suggestion: `Use \`${operator}=\`.`,
    };
  }
}

function* debuggerStatement(source: Source): Generator<Hit> {
  for (const node of source.nodes('DebuggerStatement')) {
    yield {
      line: lineOf(node),
      title: 'A `debugger` statement was left in',
      detail: 'It halts the program wherever a debugger is attached.',
      suggestion: 'Remove it.',
    };
  }
}

/** console.log inside the functions of a module that others import; a file with many of them means to print. */
function* consoleLog(source: Source): Generator<Hit> {
  const name = source.path.replace(/\.\w+$/, '');
  if (
    /(^|[/_.-])(cli|bin|scripts?|tools?|main|server|app|log\w*|debug\w*|print\w*|report\w*|console\w*|commands?)($|[/_.-])/i.test(
      name,
    )
  )
    return;
  if (isProgram(source) || !exportsSomething(source)) return;
  const calls = source
    .calls()
    .filter((call) => /^(log|debug)$/.test(calleeName(call) ?? '') && source.isGlobal(receiver(call), 'console'));
  if (calls.length > mostLeftOver) return;
  for (const call of calls) {
    const around = source.functionOf(call);
    if (around === undefined || isMeantToPrint(call, source)) continue;
    yield {
      line: lineOf(call),
      title: `console.${calleeName(call)}() in a module that others import`,
      detail: 'It writes to the standard output of every program that uses this module.',
      suggestion: 'Remove it, or give the message to a logger that the caller can choose.',
    };
  }
}

function isMeantToPrint(call: SyntaxNode, source: Source): boolean {
  for (const ancestor of source.ancestors(call)) {
    const test =
      child(ancestor, 'test') ?? (ancestor.type === 'LogicalExpression' ? child(ancestor, 'left') : undefined);
    if (test !== undefined && /debug|verbose|trace|log|quiet|silent|dev/i.test(source.textOf(test))) return true;
    const name = source.functionName(ancestor) ?? '';
    if (/log|print|debug|report|dump|usage|help|show|main|listen/i.test(name)) return true;
    if (isCall(ancestor) && calleeName(ancestor) === 'listen') return true;
  }
  return false;
}

/** A key that stands twice in one object literal. */
function* duplicateKey(source: Source): Generator<Hit> {
  for (const object of source.nodes('ObjectExpression')) {
    const seen = new Map<string, SyntaxNode>();
    for (const property of children(object, 'properties')) {
      if (property.type === 'SpreadElement') seen.clear();
      const isAccessor = /^[gs]et$/.test(word(property, 'kind') ?? '');
      const key = isAccessor ? undefined : keyOf(property);
      if (key === undefined || key === '__proto__') continue;
      const earlier = seen.get(key);
      seen.set(key, property);
      if (earlier === undefined) continue;
      yield {
        line: lineOf(property),
        title: `The key \`${key}\` stands twice in one object`,
        detail: `The value of line ${lineOf(earlier)} is lost: this one replaces it.`,
        suggestion: 'Remove one of the two.',
      };
    }
  }
}

/** `if (a = b)`. */
function* assignmentInCondition(source: Source): Generator<Hit> {
  for (const node of source.nodes('IfStatement', 'ConditionalExpression')) {
    const test = child(node, 'test');
    if (test?.type !== 'AssignmentExpression' || word(test, 'operator') !== '=' || isParenthesized(test)) continue;
    const value = child(test, 'right');
    if (value === undefined || !(isConstant(value, source) || value.type === 'Identifier' || isMember(value))) continue;
    yield {
      line: lineOf(test),
      title: 'The condition assigns, it does not compare',
      detail: `\`${source.textOf(test)}\` sets the left side and then asks whether the new value is truthy.`,
      suggestion: 'Use `===`; if the assignment is meant, put it on a line of its own.',
    };
  }
}

/** `any` in what a module offers. */
function* exportedAny(source: Source): Generator<Hit> {
  const exported = source
    .nodes('ExportNamedDeclaration', 'ExportDefaultDeclaration')
    .flatMap((node) => functionsIn(child(node, 'declaration')));
  const overloaded = new Set(source.nodes('TSDeclareFunction').map((node) => nameOf(child(node, 'id'))));
  const open = exported.filter((node) => !overloaded.has(source.functionName(node)) && saysAny(node));
  const [first] = open;
  if (first === undefined) return;
  const name = source.functionName(first) ?? 'A function';
  yield {
    line: lineOf(first),
    title:
      open.length === 1
        ? `The signature of exported \`${name}\` says \`any\``
        : `${open.length} exported signatures say \`any\``,
    detail: `${open.length === 1 ? 'It switches' : `\`${name}\` is the first. They switch`} off type checking for every caller.`,
    suggestion: 'Use the real type, a type parameter, or `unknown`.',
  };
}

function functionsIn(declaration: SyntaxNode | undefined): readonly SyntaxNode[] {
  if (declaration?.type === 'FunctionDeclaration') return [declaration];
  return children(declaration, 'declarations').flatMap((one) => {
    const value = child(one, 'init');
    return value !== undefined && (functionTypes as readonly string[]).includes(value.type) ? [value] : [];
  });
}

function saysAny(node: SyntaxNode): boolean {
  const typed = [child(node, 'returnType'), ...children(node, 'params').map((one) => child(one, 'typeAnnotation'))];
  return typed.some((type) => child(type, 'typeAnnotation')?.type === 'TSAnyKeyword');
}

/** What the authors themselves say is left to do. */
function* todo(source: Source): Generator<Hit> {
  const marked = source.comments.filter(({ value }) => /^[\s*]*(TODO|FIXME)\b/m.test(value));
  const [first] = marked;
  if (first === undefined) return;
  const at = first.value.split('\n').findIndex((line) => /^[\s*]*(TODO|FIXME)\b/.test(line));
  const text = /(TODO|FIXME)\b.*/.exec(first.value)?.[0].trim() ?? '';
  yield {
    line: lineOf(first) + Math.max(at, 0),
    title: marked.length === 1 ? 'An open TODO' : `${marked.length} open TODOs`,
    detail: `The first says: "${text.length > 100 ? `${text.slice(0, 97)}…` : text}"`,
    suggestion: 'Do it, or move it to the issue tracker.',
  };
}

function exportsSomething(source: Source): boolean {
  if (source.nodes('ExportNamedDeclaration', 'ExportDefaultDeclaration', 'ExportAllDeclaration').length > 0)
    return true;
  return source
    .nodes('MemberExpression')
    .some((node) => nameOf(node) === 'exports' && source.isGlobal(child(node, 'object'), 'module'));
}

function isNothing(node: SyntaxNode): boolean {
  return node.type === 'NullLiteral' || nameOf(node) === 'undefined' || word(node, 'operator') === 'void';
}

/** `var x = require('x')` and `var __helper = …`, as compilers write them. */
function isCompiled(node: SyntaxNode): boolean {
  return children(node, 'declarations').some((one) => {
    const value = child(one, 'init');
    return (
      /^(__|_[a-z]\d*$)/.test(nameOf(child(one, 'id')) ?? '') || (isCall(value) && calleeName(value) === 'require')
    );
  });
}

function inDeclaration(node: SyntaxNode, source: Source): boolean {
  return [...source.ancestors(node)].some(({ type }) => type === 'TSModuleDeclaration' || type === 'TSModuleBlock');
}

/** Whether a comment ends on one of the two lines before a node. */
function isCommented(source: Source, node: SyntaxNode): boolean {
  return source.comments.some(({ loc }) => loc.end.line === lineOf(node) - 1 || loc.end.line === lineOf(node) - 2);
}
