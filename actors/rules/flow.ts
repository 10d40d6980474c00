/** What can be known of a value without running the code: constant, number, escaped, built from text and parts. */
import type { Source } from './source.ts';
import {
  bare,
  calleeName,
  child,
  children,
  flag,
  isCall,
  isMember,
  keyOf,
  nameOf,
  receiver,
  type SyntaxNode,
  templateText,
  within,
  word,
} from './syntax.ts';

const deepestLookup = 4;
const literalTypes = new Set([
  'StringLiteral',
  'NumericLiteral',
  'BooleanLiteral',
  'NullLiteral',
  'RegExpLiteral',
  'BigIntLiteral',
]);
const escaping = /escape|quote|sanitize|purify|encodeuri|placeholder|identifier|serialize/i;
const numberMakers = new Set([
  'Number',
  'parseInt',
  'parseFloat',
  'toFixed',
  'indexOf',
  'getTime',
  'now',
  'round',
  'floor',
  'ceil',
]);
const numberNames = new Set(['length', 'size', 'pid', 'ppid', 'index', 'byteLength']);

/** Whether a value is fixed in the source. Names in CAPITALS count as fixed: they are constants by custom. */
export function isConstant(node: SyntaxNode | undefined, source: Source, depth = 0): boolean {
  const value = bare(node);
  if (value === undefined || depth > deepestLookup) return false;
  const all = (nodes: readonly SyntaxNode[]) => nodes.every((one) => isConstant(one, source, depth + 1));
  if (literalTypes.has(value.type)) return true;
  if (value.type === 'TemplateLiteral') return all(children(value, 'expressions'));
  if (value.type === 'ArrayExpression') return all(children(value, 'elements'));
  if (value.type === 'UnaryExpression') return isConstant(child(value, 'argument'), source, depth + 1);
  if (value.type === 'BinaryExpression' || value.type === 'LogicalExpression') {
    return isConstant(child(value, 'left'), source, depth + 1) && isConstant(child(value, 'right'), source, depth + 1);
  }
  if (value.type === 'ConditionalExpression') {
    return (
      isConstant(child(value, 'consequent'), source, depth + 1) &&
      isConstant(child(value, 'alternate'), source, depth + 1)
    );
  }
  if (value.type === 'Identifier') {
    return isCapital(nameOf(value)) || isConstant(source.constant(value), source, depth + 1);
  }
  if (isMember(value)) return isConstantMember(value, source, depth);
  if (isCall(value)) {
    const name = calleeName(value) ?? '';
    const isTextMethod = /^(join|trim|repeat|toUpperCase|toLowerCase|replace|slice|concat)$/.test(name);
    return isTextMethod && isConstant(receiver(value), source, depth + 1) && all(children(value, 'arguments'));
  }
  return false;
}

function isConstantMember(member: SyntaxNode, source: Source, depth: number): boolean {
  if (isCapital(nameOf(member))) return true;
  const object = bare(child(member, 'object'));
  const table = object === undefined ? undefined : source.constant(object);
  if (table === undefined || depth > deepestLookup) return false;
  if (table.type === 'ArrayExpression') return isConstant(table, source, depth + 1);
  if (table.type !== 'ObjectExpression') return false;
  return children(table, 'properties').every((property) => isConstant(child(property, 'value'), source, depth + 1));
}

/** Whether a value is a number or boolean, whatever it is. */
export function isPlainNumber(node: SyntaxNode | undefined, source: Source): boolean {
  const value = bare(node);
  if (value === undefined) return false;
  if (value.type === 'NumericLiteral' || value.type === 'BooleanLiteral' || value.type === 'UpdateExpression')
    return true;
  if (value.type === 'UnaryExpression') return /^[-+~!]$/.test(word(value, 'operator') ?? '');
  if (value.type === 'BinaryExpression') {
    return /^([-*/%&|^]|\*\*|<<|>>>?|[<>]=?|[!=]==?|in|instanceof)$/.test(word(value, 'operator') ?? '');
  }
  if (isMember(value)) return numberNames.has(nameOf(value) ?? '');
  if (isCall(value)) return numberMakers.has(calleeName(value) ?? '');
  if (value.type !== 'Identifier') return false;
  if (/^(i|j|k|n|idx|index|count|size|port|pid|limit|offset|page)$/.test(nameOf(value) ?? '')) return true;
  const type = annotation(source.parameter(value) ?? source.binding(nameOf(value))?.id);
  if (type === 'TSNumberKeyword' || type === 'TSBooleanKeyword' || type === 'TSBigIntKeyword') return true;
  const constant = source.constant(value);
  return constant !== undefined && constant.type !== 'Identifier' && isPlainNumber(constant, source);
}

/** The type of an identifier's annotation: `TSNumberKeyword`, `TSArrayType`, … */
function annotation(id: SyntaxNode | undefined): string | undefined {
  return annotationNode(id)?.type;
}

/** The type that stands after an identifier's colon. */
export function annotationNode(id: SyntaxNode | undefined): SyntaxNode | undefined {
  return child(child(id, 'typeAnnotation'), 'typeAnnotation');
}

/** Whether a value went through a function that, by its name, makes it harmless. */
export function isEscaped(node: SyntaxNode, source: Source): boolean {
  const value = bare(node);
  if (isCall(value)) {
    const name = `${nameOf(receiver(value)) ?? ''} ${calleeName(value) ?? ''}`;
    return (
      escaping.test(name) ||
      (calleeName(value) === 'join' &&
        [...within(value)].some((inner) => isCall(inner) && escaping.test(calleeName(inner) ?? '')))
    );
  }
  if (escaping.test(nameOf(value) ?? '') || /^(safe|trusted|clean)/i.test(nameOf(value) ?? '')) return true;
  const constant = source.constant(value);
  return constant !== undefined && isCall(constant) && isEscaped(constant, source);
}

/** A text's parts in order: fixed text, and expressions that are neither constant nor numbers nor escaped. */
export function pieces(node: SyntaxNode | undefined, source: Source, depth = 0): readonly (string | SyntaxNode)[] {
  const value = bare(node);
  if (value === undefined || depth > 40) return [];
  if (value.type === 'StringLiteral') return [word(value, 'value') ?? ''];
  if (value.type === 'TemplateLiteral') {
    const expressions = children(value, 'expressions');
    return children(value, 'quasis').flatMap((quasi, index) => [
      templateText(quasi),
      ...(expressions[index] === undefined ? [] : pieces(expressions[index], source, depth + 1)),
    ]);
  }
  if (value.type === 'BinaryExpression' && word(value, 'operator') === '+') {
    return [...pieces(child(value, 'left'), source, depth + 1), ...pieces(child(value, 'right'), source, depth + 1)];
  }
  const constant = source.constant(value);
  if (constant !== undefined && isText(constant)) return pieces(constant, source, depth + 10);
  if (isConstant(value, source) || isPlainNumber(value, source) || isEscaped(value, source)) return ['1'];
  return [value];
}

/** Whether an expression is text by the way it is written. */
export function isText(node: SyntaxNode | undefined): boolean {
  const value = bare(node);
  if (value?.type === 'StringLiteral' || value?.type === 'TemplateLiteral') return true;
  if (value?.type !== 'BinaryExpression' || word(value, 'operator') !== '+') return false;
  return isText(child(value, 'left')) || isText(child(value, 'right'));
}

/** Whether a value comes from outside the function: a parameter, or a constant made from one. */
export function usesParameter(node: SyntaxNode, source: Source, depth = 0): boolean {
  for (const inner of within(node)) {
    if (inner.type !== 'Identifier' || isPropertyName(inner, source)) continue;
    if (source.parameter(inner) !== undefined) return true;
    const binding = source.binding(nameOf(inner));
    const made = binding?.kind === 'const' ? (binding.value ?? binding.from) : undefined;
    if (
      made !== undefined &&
      depth < deepestLookup &&
      !made.type.endsWith('FunctionExpression') &&
      usesParameter(made, source, depth + 1)
    )
      return true;
  }
  return false;
}

/** Whether a value is, or is taken from, what a client sent: `req.query.x`, `request.body`, `ctx.params.id`. */
export function comesFromRequest(node: SyntaxNode | undefined, source: Source, depth = 0): boolean {
  const value = bare(node);
  if (value === undefined || depth > deepestLookup) return false;
  if (isMember(value)) return isRequestPart(value) || comesFromRequest(child(value, 'object'), source, depth + 1);
  if (value.type === 'Identifier') {
    const binding = source.binding(nameOf(value));
    return binding?.kind === 'const' && comesFromRequest(binding.value ?? binding.from, source, depth + 1);
  }
  if (value.type === 'TemplateLiteral') {
    return children(value, 'expressions').some((part) => comesFromRequest(part, source, depth + 1));
  }
  if (value.type === 'BinaryExpression' && word(value, 'operator') === '+') {
    return (
      comesFromRequest(child(value, 'left'), source, depth + 1) ||
      comesFromRequest(child(value, 'right'), source, depth + 1)
    );
  }
  if (isCall(value) && /^(join|resolve|String|toString|normalize|decodeURIComponent)$/.test(calleeName(value) ?? '')) {
    const parts = [receiver(value), ...children(value, 'arguments')];
    return parts.some((part) => comesFromRequest(part, source, depth + 1));
  }
  return false;
}

function isRequestPart(member: SyntaxNode): boolean {
  const root = nameOf(child(member, 'object'));
  return /^(req|request|ctx)$/.test(root ?? '') && /^(params|query|body)$/.test(nameOf(member) ?? '');
}

/** Whether an identifier is only the name of a property, not a variable. */
function isPropertyName(id: SyntaxNode, source: Source): boolean {
  const parent = source.parent(id);
  if (parent === undefined) return false;
  if (isMember(parent)) return child(parent, 'property') === id && !flag(parent, 'computed');
  return (
    child(parent, 'key') === id &&
    !flag(parent, 'computed') &&
    child(parent, 'value') !== id &&
    keyOf(parent) !== undefined
  );
}

function isCapital(name: string | undefined): boolean {
  return name !== undefined && /^[A-Z][A-Z0-9_]+$/.test(name);
}
