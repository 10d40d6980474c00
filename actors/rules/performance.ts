/** Performance rules: work that is repeated, waited for one by one, or that stops everything else. */

import type { Hit } from './finding.ts';
import { annotationNode, isConstant } from './flow.ts';
import { isProgram, type Loop, lineOf, loopAround, type Rule } from './rule.ts';
import type { Source } from './source.ts';
import {
  bare,
  calleeName,
  child,
  children,
  flag,
  isCall,
  isFunction,
  nameOf,
  patternNames,
  receiver,
  type SyntaxNode,
  within,
  withinFunction,
  word,
} from './syntax.ts';

/** The performance rules. */
export const performanceRules: readonly Rule[] = [
  { name: 'await-in-loop', domain: 'performance', severity: 'medium', check: awaitInLoop },
  { name: 'sync-in-async', domain: 'performance', severity: 'medium', check: syncInAsync },
  { name: 'search-in-loop', domain: 'performance', severity: 'medium', check: searchInLoop },
  { name: 'growing-copy', domain: 'performance', severity: 'medium', check: growingCopy },
  { name: 'json-clone', domain: 'performance', severity: 'low', check: jsonClone },
  { name: 'shift-in-loop', domain: 'performance', severity: 'low', check: shiftInLoop },
  { name: 'regexp-in-loop', domain: 'performance', severity: 'low', check: regexpInLoop },
  { name: 'list-in-loop-test', domain: 'performance', severity: 'low', check: listInLoopTest },
];

const reading = /^(fetch|get|load|read|find|lookup|stat|download|count)([A-Z]\w*|File)?$/;

/** Reads that wait for each other although, as far as the loop shows, none needs the one before. */
function* awaitInLoop(source: Source): Generator<Hit> {
  for (const node of source.nodes('ForOfStatement')) {
    const body = child(node, 'body');
    if (flag(node, 'await') || body === undefined || saysInOrder(node, source)) continue;
    const inner = [...withinFunction(body)];
    const awaited = inner.filter(({ type }) => type === 'AwaitExpression');
    const names = new Set([...declaredNames(child(node, 'left'))]);
    const reads = awaited.filter((one) => {
      const call = bare(child(one, 'argument'));
      return (
        isCall(call) && reading.test(calleeName(call) ?? '') && usesNames(call, names) && ownsReceiver(call, names)
      );
    });
    const [first] = reads;
    if (first === undefined || reads.length !== awaited.length || inner.some((one) => depends(one, body, source)))
      continue;
    if (readsWhatItFills(inner, child(node, 'right'))) continue;
    yield {
      line: lineOf(first),
      title: 'Each turn of the loop waits for the one before',
      detail: `\`${calleeName(child(first, 'argument') ?? first)}()\` is awaited for one element after the other, and nothing in the loop uses what an earlier turn found.`,
      suggestion: 'If the order does not matter, start the calls together (Promise.all over a bounded group).',
    };
  }
}

/** Whether a turn of a loop leaves it early, fails on purpose, or changes something that outlives it. */
function depends(node: SyntaxNode, body: SyntaxNode, source: Source): boolean {
  if (/^(Break|Return|Throw|Continue)Statement$|^(Yield|Update)Expression$/.test(node.type)) return true;
  if (node.type !== 'AssignmentExpression') return false;
  const target = child(node, 'left');
  const declared = target?.type === 'Identifier' ? source.binding(nameOf(target))?.id : undefined;
  return !(declared !== undefined && declared.start >= body.start && declared.end <= body.end);
}

/** Whether the loop looks at a collection that its own turns add to. */
function readsWhatItFills(inner: readonly SyntaxNode[], over: SyntaxNode | undefined): boolean {
  const used = new Map<string, number>();
  const filled = new Map<string, number>();
  const count = (counts: Map<string, number>, name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const node of inner) {
    const list = isCall(node) && fills.test(calleeName(node) ?? '') ? receiver(node) : undefined;
    if (list !== undefined) count(filled, nameOf(list) ?? '');
    if (node.type === 'Identifier') count(used, nameOf(node) ?? '');
  }
  return [...filled].some(([name, times]) => (used.get(name) ?? 0) > times || nameOf(bare(over)) === name);
}

const fills = /^(push|unshift|add|set|append|delete|splice)$/;

/** A call that blocks the process, in code that others wait for. */
function* syncInAsync(source: Source): Generator<Hit> {
  if (isProgram(source)) return;
  for (const call of source.calls()) {
    const origin = source.origin(child(call, 'callee'));
    if (origin === undefined || !/^(fs|child_process|zlib|crypto)$/.test(origin.module)) continue;
    if (!/Sync$/.test(origin.name) || origin.name === 'existsSync') continue;
    const around = source.functionOf(call);
    if (around === undefined || startsUp.test(source.functionName(around) ?? '')) continue;
    const isHandler = handlesRequests(around);
    if (!isHandler && !flag(around, 'async')) continue;
    yield {
      line: lineOf(call),
      title: `${origin.name}() inside ${isHandler ? 'a request handler' : 'an async function'}`,
      detail: 'Nothing else runs in this process until it is done: no other request, no timer.',
      suggestion: `Use the asynchronous form (${origin.name.slice(0, -4)}) and await it.`,
      ...(!isHandler && { severity: 'low' }),
    };
  }
}

const startsUp = /^(main|run|start|init|setup|boot|build|generate|install|create|configure|loadConfig)/i;

function handlesRequests(node: SyntaxNode): boolean {
  const [first, second] = children(node, 'params').map((parameter) => nameOf(parameter) ?? '');
  return (
    (/^_?req(uest)?$/.test(first ?? '') && /^(res|response|reply)$/.test(second ?? '')) ||
    (first === 'ctx' && second === 'next')
  );
}

/** A search through one list for every element of another. */
function* searchInLoop(source: Source): Generator<Hit> {
  for (const call of source.calls()) {
    const list = receiver(call);
    const loop = loopAround(call, source);
    if (list?.type !== 'Identifier' || loop?.over === undefined || isFixed(loop.over, source)) continue;
    if (!searches(call, list, loop, source) || isDeclaredIn(list, loop.node, source)) continue;
    yield {
      line: lineOf(call),
      title: `\`${nameOf(list)}\` is searched once per element`,
      detail: `For every element of \`${shortText(source, loop.over)}\`, ${calleeName(call)}() looks through \`${nameOf(list)}\` from its start: the time grows with the product of both lengths.`,
      suggestion: 'Make a Set or Map of it before the loop, if the lists can get long.',
      ...(/^(includes|indexOf)$/.test(calleeName(call) ?? '') && { severity: 'low' }),
    };
  }
}

/** Whether what a loop goes over stands in the source, or is imported and so, most likely, a table in another file. */
function isFixed(over: SyntaxNode, source: Source): boolean {
  return isConstant(over, source) || source.binding(nameOf(over))?.kind === 'import';
}

function searches(call: SyntaxNode, list: SyntaxNode, loop: Loop, source: Source): boolean {
  const name = calleeName(call) ?? '';
  const [wanted] = children(call, 'arguments');
  const names = new Set(loop.variables.flatMap((pattern) => [...patternNames(pattern)].map((id) => nameOf(id) ?? '')));
  if (wanted === undefined) return false;
  if (name === 'includes' || name === 'indexOf')
    return isGrowingList(list, source) && !isFunction(wanted) && usesNames(wanted, names);
  if (!/^(find|findIndex|filter|some)$/.test(name) || wanted.type !== 'ArrowFunctionExpression') return false;
  const test = bare(child(wanted, 'body'));
  if (test?.type !== 'BinaryExpression' || word(test, 'operator') !== '===') return false;
  return isGrowingList(list, source) && usesNames(test, names);
}

/** Whether a variable is certainly an array, and not one whose few elements stand in the source. */
function isGrowingList(list: SyntaxNode, source: Source): boolean {
  const type = annotationNode(source.parameter(list) ?? source.binding(nameOf(list))?.id);
  if (type?.type === 'TSArrayType') return true;
  if (type?.type === 'TSTypeOperator') return child(type, 'typeAnnotation')?.type === 'TSArrayType';
  if (type !== undefined) return /^(Readonly)?Array$/.test(nameOf(child(type, 'typeName')) ?? '');
  const value = bare(source.binding(nameOf(list))?.value);
  if (value?.type === 'ArrayExpression') {
    const elements = children(value, 'elements');
    return elements.length === 0 || elements.some((element) => element.type === 'SpreadElement');
  }
  if (!isCall(value)) return false;
  const name = calleeName(value) ?? '';
  if (source.isGlobal(receiver(value), 'Object')) return /^(keys|values|entries)$/.test(name);
  if (source.isGlobal(receiver(value), 'Array')) return name === 'from';
  return /^(map|filter|flatMap|split)$/.test(name) && !isConstant(receiver(value), source);
}

/** A result that is copied whole to add one element. */
function* growingCopy(source: Source): Generator<Hit> {
  for (const call of source.calls()) {
    const [callback, start] = children(call, 'arguments');
    if (calleeName(call) !== 'reduce' || callback?.type !== 'ArrowFunctionExpression' || start === undefined) continue;
    const name = nameOf(children(callback, 'params')[0]);
    const copy = returned(callback).find((value) => name !== undefined && copies(value, name));
    if (
      copy === undefined ||
      !/^(Object|Array)Expression$/.test(bare(start).type) ||
      isConstant(receiver(call), source)
    )
      continue;
    yield copied(lineOf(copy), `\`${name}\``, 'every step of reduce()');
  }
  for (const assignment of source.nodes('AssignmentExpression')) {
    const target = child(assignment, 'left');
    const value = bare(child(assignment, 'right'));
    const loop = loopAround(assignment, source);
    const name = target?.type === 'Identifier' ? nameOf(target) : undefined;
    if (target === undefined || name === undefined || value === undefined || loop === undefined) continue;
    if (!copies(value, name) || isDeclaredIn(target, loop.node, source) || (loop.over && isConstant(loop.over, source)))
      continue;
    yield copied(lineOf(assignment), `\`${name}\``, 'every turn of the loop');
  }
}

function copied(line: number, what: string, when: string): Hit {
  return {
    line,
    title: `${what} is copied at ${when}`,
    detail: `To add something, all that ${what} holds so far is copied: the time grows with the square of the number of elements.`,
    suggestion: 'Add to one array, object or Map in place.',
  };
}

/** Whether a value is a copy of the variable `name` by spread. */
function copies(value: SyntaxNode, name: string): boolean {
  const parts = value.type === 'ObjectExpression' ? children(value, 'properties') : children(value, 'elements');
  if (!/^(Object|Array)Expression$/.test(value.type) || parts.length < 2) return false;
  const grows =
    value.type === 'ArrayExpression' || parts.filter((part) => isSpread(part) || flag(part, 'computed')).length > 1;
  if (!grows) return false;
  return parts.some(
    (part) =>
      isSpread(part) &&
      nameOf(bare(child(part, 'argument'))) === name &&
      bare(child(part, 'argument'))?.type === 'Identifier',
  );
}

function isSpread(node: SyntaxNode): boolean {
  return node.type === 'SpreadElement';
}

/** What an arrow function gives back. */
function returned(callback: SyntaxNode): readonly SyntaxNode[] {
  const body = child(callback, 'body');
  if (body?.type !== 'BlockStatement') return body === undefined ? [] : [bare(body)];
  return [...withinFunction(body)].flatMap((node) => {
    const value = node.type === 'ReturnStatement' ? bare(child(node, 'argument')) : undefined;
    return value === undefined ? [] : [value];
  });
}

/** A copy by way of JSON text. */
function* jsonClone(source: Source): Generator<Hit> {
  for (const call of source.calls()) {
    const [inner] = children(call, 'arguments');
    if (!isOnlyOf(call, 'parse', source) || !isOnlyOf(inner, 'stringify', source)) continue;
    const before = lineOf(call) - 1;
    const isExplained = source.comments.some(({ loc }) => loc.end.line === before || loc.end.line === before + 1);
    if (isExplained || source.lines[before - 1]?.trim().startsWith('try')) continue;
    yield {
      line: lineOf(call),
      title: 'A value is copied by way of JSON text',
      detail: 'It is written out and parsed again; dates become strings, and undefined and functions are lost.',
      suggestion: 'Use structuredClone(), or copy only what is changed.',
    };
  }
}

/** Whether a node is a call of that method of JSON with one argument. */
function isOnlyOf(node: SyntaxNode | undefined, method: string, source: Source): boolean {
  if (!isCall(node) || calleeName(node) !== method || children(node, 'arguments').length !== 1) return false;
  return source.isGlobal(receiver(node), 'JSON');
}

/** A queue that is emptied from its front. */
function* shiftInLoop(source: Source): Generator<Hit> {
  for (const loop of source.nodes('WhileStatement')) {
    const test = child(loop, 'test');
    const body = child(loop, 'body');
    if (test === undefined || body === undefined) continue;
    for (const call of withinFunction(body)) {
      const list = isCall(call) && calleeName(call) === 'shift' ? receiver(call) : undefined;
      if (list?.type !== 'Identifier' || !isGrowingList(list, source)) continue;
      const asksLength = new RegExp(`^(${nameOf(list)}\\.length)(\\s*(>|!==?)\\s*0)?$`).test(source.textOf(test));
      if (!asksLength || isDeclaredIn(list, loop, source)) continue;
      yield {
        line: lineOf(call),
        title: `The loop empties \`${nameOf(list)}\` from the front`,
        detail:
          'shift() may have to move all elements that are left: emptying a long array can take time that grows with its square.',
        suggestion: 'Walk it with an index or for-of, or use a real queue, if it can get long.',
      };
    }
  }
}

/** A constant pattern that is compiled again and again. */
function* regexpInLoop(source: Source): Generator<Hit> {
  for (const made of [...source.nodes('NewExpression'), ...source.calls()]) {
    const [pattern, flags] = children(made, 'arguments');
    if (!source.isGlobal(child(made, 'callee'), 'RegExp') || pattern?.type === 'RegExpLiteral') continue;
    if (!isConstant(pattern, source) || (flags !== undefined && !/^['"][imsuv]*['"]$/.test(source.textOf(flags))))
      continue;
    if (loopAround(made, source) === undefined || isKept(made, source)) continue;
    yield {
      line: lineOf(made),
      title: 'The same regular expression is made at every turn',
      detail: 'Its pattern never changes, yet a new RegExp is made each time.',
      suggestion: 'Make it once, before the loop.',
    };
  }
}

/** Whether a value is assigned to something, which may outlive the turn of the loop. */
function isKept(node: SyntaxNode, source: Source): boolean {
  return [...source.ancestors(node)].some(({ type }) => type === 'AssignmentExpression');
}

/** A list that is made anew to ask for its length. */
function* listInLoopTest(source: Source): Generator<Hit> {
  for (const loop of source.nodes('ForStatement')) {
    const test = child(loop, 'test');
    const call =
      test &&
      [...withinFunction(test)].find(
        (node) =>
          isCall(node) &&
          source.isGlobal(receiver(node), 'Object') &&
          /^(keys|values|entries)$/.test(calleeName(node) ?? ''),
      );
    if (call === undefined || isConstant(children(call, 'arguments')[0], source)) continue;
    yield {
      line: lineOf(call),
      title: `Object.${calleeName(call)}() is called again at every turn of the loop`,
      detail: 'The condition of the loop makes the whole list anew each time, only to compare with it.',
      suggestion: 'Make the list once before the loop, or use for-of.',
    };
  }
}

function* declaredNames(left: SyntaxNode | undefined): Generator<string> {
  for (const declarator of children(left, 'declarations')) {
    for (const id of patternNames(child(declarator, 'id'))) yield nameOf(id) ?? '';
  }
}

function usesNames(node: SyntaxNode, names: ReadonlySet<string>): boolean {
  return [...within(node)].some((inner) => inner.type === 'Identifier' && names.has(nameOf(inner) ?? ''));
}

/** Whether a method is not called on the element itself, whose calls may depend on each other. */
function ownsReceiver(call: SyntaxNode, names: ReadonlySet<string>): boolean {
  const on = receiver(call);
  return on === undefined || !usesNames(on, names);
}

function isDeclaredIn(id: SyntaxNode, loop: SyntaxNode, source: Source): boolean {
  const declared = source.parameter(id) ?? source.binding(nameOf(id))?.id;
  return declared === undefined || (declared.start >= loop.start && declared.end <= loop.end);
}

function saysInOrder(node: SyntaxNode, source: Source): boolean {
  const around = source.lines.slice(Math.max(0, lineOf(node) - 4), lineOf(node) + 1).join('\n');
  return /sequen|in order|one (by|at|after)|serial|await-in-loop|rate|memory/i.test(around);
}

function shortText(source: Source, node: SyntaxNode): string {
  const text = source.textOf(node).replace(/\s+/g, ' ').replaceAll('`', "'");
  return text.length > 40 ? `${text.slice(0, 37)}…` : text;
}
