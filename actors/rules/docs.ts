/** Docs rules over code: exported things without a comment, and comments that do not fit what they describe. */
import type { Hit } from './finding.ts';
import { lineOf, type Rule } from './rule.ts';
import type { Source } from './source.ts';
import {
  type Comment,
  child,
  children,
  flag,
  functionTypes,
  isFunction,
  isMember,
  keyOf,
  nameOf,
  type SyntaxNode,
  within,
  withinFunction,
  word,
} from './syntax.ts';

/** The docs rules over code. */
export const docsRules: readonly Rule[] = [
  { name: 'undocumented-export', domain: 'docs', severity: 'low', check: undocumentedExport },
  { name: 'unknown-param', domain: 'docs', severity: 'medium', check: unknownParam },
  { name: 'returns-nothing', domain: 'docs', severity: 'medium', check: returnsNothing },
];

/** Exported functions and classes without any comment before them; one finding per file. */
function* undocumentedExport(source: Source): Generator<Hit> {
  const exported = exportedDeclarations(source);
  const silent = exported.filter(({ isDocumented }) => !isDocumented);
  const [first] = silent;
  if (first === undefined) return;
  const isOne = silent.length === 1;
  yield {
    line: lineOf(first.node),
    title: isOne
      ? `${first.name === 'default' ? 'The default export' : `Exported \`${first.name}\``} has no comment`
      : `${silent.length} of ${exported.length} exported functions and classes have no comment`,
    detail: isOne
      ? 'Whoever uses it must read its code to learn what it does.'
      : `\`${first.name}\` is the first. Whoever uses them must read their code to learn what they do.`,
    suggestion: 'Say in one line what it does, and what it gives back or throws.',
  };
}

interface Exported {
  readonly name: string;
  readonly node: SyntaxNode;
  readonly isDocumented: boolean;
}

function exportedDeclarations(source: Source): readonly Exported[] {
  const declared = new Map<string, Exported>();
  const exports = new Set<string>();
  for (const statement of children(source.root, 'body')) {
    const inner = child(statement, 'declaration');
    const isExport = /^Export(Named|Default)Declaration$/.test(statement.type);
    for (const { name, node } of named(isExport ? inner : statement)) {
      const isDocumented = [statement, inner, ...membersOf(node)].some(hasComment);
      const overload = declared.get(name);
      declared.set(name, {
        name,
        node: overload?.node ?? node,
        isDocumented: isDocumented || overload?.isDocumented === true,
      });
      if (isExport) exports.add(name);
    }
    if (isExport && child(statement, 'source') === undefined) {
      for (const one of children(statement, 'specifiers')) exports.add(nameOf(child(one, 'local')) ?? '');
    }
    for (const name of commonJsExports(statement, source)) exports.add(name);
  }
  return [...declared.values()].filter(({ name }) => exports.has(name));
}

/** A declaration and, of a class, its members: a class is documented when one of them is. */
function membersOf(node: SyntaxNode): readonly SyntaxNode[] {
  return /^Class/.test(node.type) ? [node, ...children(child(node, 'body'), 'body')] : [node];
}

function hasComment(node: SyntaxNode | undefined): boolean {
  return (node?.leadingComments?.length ?? 0) > 0;
}

/** The functions and classes that a declaration names. */
function named(declaration: SyntaxNode | undefined): readonly { name: string; node: SyntaxNode }[] {
  if (declaration === undefined) return [];
  if (/^(FunctionDeclaration|ClassDeclaration|TSDeclareFunction)$/.test(declaration.type)) {
    return [{ name: nameOf(child(declaration, 'id')) ?? 'default', node: declaration }];
  }
  if (declaration.type !== 'VariableDeclaration') return [];
  return children(declaration, 'declarations').flatMap((one) => {
    const name = nameOf(child(one, 'id'));
    const value = child(one, 'init');
    return name !== undefined && (isFunction(value) || value?.type === 'ClassExpression')
      ? [{ name, node: declaration }]
      : [];
  });
}

/** The local names in `module.exports = { a, b }` and `module.exports = a`. */
function commonJsExports(statement: SyntaxNode, source: Source): readonly string[] {
  const assignment = child(statement, 'expression');
  const target = child(assignment, 'left');
  if (assignment?.type !== 'AssignmentExpression' || !isMember(target)) return [];
  if (nameOf(target) !== 'exports' || !source.isGlobal(child(target, 'object'), 'module')) return [];
  const value = child(assignment, 'right');
  if (value?.type === 'Identifier') return [nameOf(value) ?? ''];
  return children(value, 'properties').flatMap((property) =>
    flag(property, 'shorthand') ? [keyOf(property) ?? ''] : [],
  );
}

/** A documented parameter that the function does not have. */
function* unknownParam(source: Source): Generator<Hit> {
  for (const { node, comment, text } of documented(source)) {
    const names = parameterNames(node);
    const body = child(node, 'body');
    if (names === undefined || body === undefined || isStub(body) || usesArguments(body)) continue;
    const said = [...paramTags(text)];
    const wrong = said.find(({ name }) => !names.includes(name));
    if (wrong === undefined || names.some((name) => isRenamed(name, wrong.name))) continue;
    const has = names.length === 0 ? 'takes no parameters' : `takes \`${names.join('`, `')}\``;
    yield {
      line: lineOf(comment) + wrong.line,
      title: `The comment describes a parameter \`${wrong.name}\` that does not exist`,
      detail: `${nameFor(node, source)} ${has}.`,
      suggestion: 'Bring the comment in line with the signature.',
    };
  }
}

/** A documented result of a function that gives none. */
function* returnsNothing(source: Source): Generator<Hit> {
  for (const { node, comment, text } of documented(source)) {
    const body = child(node, 'body');
    if (body?.type !== 'BlockStatement' || flag(node, 'async') || flag(node, 'generator') || isStub(body)) continue;
    const lines = text.split('\n');
    const at = lines.findIndex((line) => /^\s*@returns?\s+\{[^}]+\}/.test(line));
    if (at < 0 || /asserts|void|undefined|never|nothing|null|\bthis\b|\?/i.test(lines[at] ?? '')) continue;
    if (word(node, 'kind') === 'constructor' || gives(body)) continue;
    yield {
      line: lineOf(comment) + at,
      title: 'The comment promises a result that is never given',
      detail: `${nameFor(node, source)} has no return statement with a value.`,
      suggestion: 'Remove @returns, or return what it says.',
    };
  }
}

interface Documented {
  readonly node: SyntaxNode;
  readonly comment: Comment;
  /** The comment without its stars, line by line. */
  readonly text: string;
}

/** Functions with a doc comment of their own right before them. */
function* documented(source: Source): Generator<Documented> {
  for (const node of source.nodes(...functionTypes)) {
    const holder = holderOf(node, source);
    const comment = holder?.leadingComments?.at(-1);
    if (holder === undefined || comment?.type !== 'CommentBlock' || !comment.value.startsWith('*')) continue;
    const text = comment.value.replace(/^[ \t]*\*+ ?/gm, '');
    if (/@(callback|typedef|overload|type|inheritdoc|method|name|function|template|event|augments|fires)\b/i.test(text))
      continue;
    if (source.textOf(holder).length === 0 || lineOf(holder) - comment.loc.end.line > 1) continue;
    yield { node, comment, text };
  }
}

/** The statement or member whose comment describes a function. */
function holderOf(node: SyntaxNode, source: Source): SyntaxNode | undefined {
  const parent = source.parent(node);
  if (/Method$/.test(node.type)) return node;
  if (node.type === 'FunctionDeclaration') return /^Export/.test(parent?.type ?? '') ? parent : node;
  if (parent?.type === 'ObjectProperty' || parent?.type === 'ClassProperty')
    return child(parent, 'value') === node ? parent : undefined;
  const outer = parent && source.parent(parent);
  if (parent?.type === 'AssignmentExpression') return outer?.type === 'ExpressionStatement' ? outer : undefined;
  if (parent?.type !== 'VariableDeclarator' || outer === undefined || children(outer, 'declarations').length > 1)
    return undefined;
  const exported = source.parent(outer);
  return /^Export/.test(exported?.type ?? '') ? exported : outer;
}

/** The names of a function's parameters; undefined when one has no single name, or there is an unknown number. */
function parameterNames(node: SyntaxNode): readonly string[] | undefined {
  const names: string[] = [];
  for (const parameter of children(node, 'params')) {
    const plain = parameter.type === 'TSParameterProperty' ? child(parameter, 'parameter') : parameter;
    const id =
      plain?.type === 'AssignmentPattern'
        ? child(plain, 'left')
        : plain?.type === 'RestElement'
          ? child(plain, 'argument')
          : plain;
    if (id?.type !== 'Identifier') return undefined;
    names.push(nameOf(id) ?? '');
  }
  return names;
}

/** Whether a bundler may have made `name` of `original`, to keep it apart from another. */
function isRenamed(name: string, original: string): boolean {
  return name.startsWith(original) && /^[$_]?\d+$/.test(name.slice(original.length));
}

/** The names after `@param`; properties of a parameter and words in capitals (types, prose) are left out. */
function* paramTags(text: string): Generator<{ name: string; line: number }> {
  const lines = text.split('\n');
  for (const [line, content] of lines.entries()) {
    const rest = /^\s*@param\s+(.*)$/.exec(content)?.[1];
    if (rest === undefined) continue;
    const name = /^\[?\s*([a-z_$][\w$]*)(?![\w$]*[.[])/.exec(afterType(rest) ?? '')?.[1];
    if (name !== undefined) yield { name, line };
  }
}

/** What stands after a `{type}`; undefined when the type does not end on this line. */
function afterType(rest: string): string | undefined {
  if (!rest.startsWith('{')) return rest;
  let depth = 0;
  for (let index = 0; index < rest.length; index += 1) {
    if (rest[index] === '{') depth += 1;
    if (rest[index] === '}') depth -= 1;
    if (depth === 0) return rest.slice(index + 1).trimStart();
  }
  return undefined;
}

/** A body that does nothing or only throws: the comment is then for those who override it. */
function isStub(body: SyntaxNode): boolean {
  if (body.type !== 'BlockStatement') return false;
  const statements = children(body, 'body');
  return statements.length === 0 || statements.some(({ type }) => type === 'ThrowStatement');
}

function usesArguments(body: SyntaxNode): boolean {
  return [...within(body)].some((node) => node.type === 'Identifier' && nameOf(node) === 'arguments');
}

function gives(body: SyntaxNode): boolean {
  return [...withinFunction(body)].some(
    (node) => node.type === 'ReturnStatement' && child(node, 'argument') !== undefined,
  );
}

function nameFor(node: SyntaxNode, source: Source): string {
  const name = source.functionName(node);
  return name === undefined ? 'The function' : `\`${name}\``;
}
