/** Security rules over code: what runs text as code, as a command, as a query or as markup, and switched-off checks. */
import type { Hit } from './finding.ts';
import { comesFromRequest, isConstant, isEscaped, isPlainNumber, isText, pieces, usesParameter } from './flow.ts';
import { lineOf, type Rule } from './rule.ts';
import type { Source } from './source.ts';
import {
  bare,
  calleeName,
  child,
  children,
  flag,
  isCall,
  isFunction,
  isMember,
  keyOf,
  nameOf,
  receiver,
  type SyntaxNode,
  word,
} from './syntax.ts';

/** The security rules over code, except those on secrets. */
export const codeSecurityRules: readonly Rule[] = [
  { name: 'dynamic-code', domain: 'security', severity: 'high', check: dynamicCode },
  { name: 'shell-command', domain: 'security', severity: 'high', check: shellCommand },
  { name: 'sql-text', domain: 'security', severity: 'high', check: sqlText },
  { name: 'unescaped-html', domain: 'security', severity: 'medium', check: unescapedHtml },
  { name: 'tls-check-off', domain: 'security', severity: 'high', check: tlsCheckOff },
  { name: 'request-path', domain: 'security', severity: 'high', check: requestPath },
  { name: 'open-redirect', domain: 'security', severity: 'medium', check: openRedirect },
  { name: 'unsigned-jwt', domain: 'security', severity: 'critical', check: unsignedJwt },
];

/** `eval(x)` and `new Function(x)` where x is no constant. */
function* dynamicCode(source: Source): Generator<Hit> {
  for (const call of [...source.calls(), ...source.nodes('NewExpression')]) {
    const callee = child(call, 'callee');
    const isEval = isCall(call) && source.isGlobal(callee, 'eval');
    if (!isEval && !source.isGlobal(callee, 'Function')) continue;
    const open = children(call, 'arguments').find((argument) => !isConstant(argument, source));
    if (open === undefined) continue;
    const what = isEval ? 'eval()' : 'Function()';
    yield {
      line: lineOf(call),
      title: `${what} runs text that is put together at run time`,
      detail: `Whatever \`${short(source, open)}\` holds is run as code. Who can influence it can run code in this process.`,
      suggestion: 'Use a table of functions, or JSON.parse for data, in place of code made from text.',
    };
  }
}

/** `exec()` of a command that parameters or request data are put into. */
function* shellCommand(source: Source): Generator<Hit> {
  for (const call of source.calls()) {
    const origin = source.origin(child(call, 'callee'));
    if (origin?.module !== 'child_process') continue;
    const [command, ...rest] = children(call, 'arguments');
    const shell =
      /^exec(Sync)?$/.test(origin.name) || (/^(spawn|execFile)(Sync)?$/.test(origin.name) && usesShell(rest.at(-1)));
    if (command === undefined || !shell || !isBuilt(command, source)) continue;
    const open = openPart(command, source, (part) => usesParameter(part, source) || comesFromRequest(part, source));
    if (open === undefined) continue;
    yield {
      line: lineOf(call),
      title: `Shell command built from \`${short(source, open)}\``,
      detail: `${origin.name}() gives this text to a shell, so a value such as \`; rm -rf .\` in \`${short(source, open)}\` is run as a command of its own.`,
      suggestion: 'Use execFile() or spawn() with the arguments as an array and without a shell.',
    };
  }
}

/** SQL text that expressions are put into where a value belongs. */
function* sqlText(source: Source): Generator<Hit> {
  const runs =
    /^(query|execute|executemany|all|get|run|exec|each|prepare|raw|queryRaw|\$queryRawUnsafe|\$executeRawUnsafe)$/;
  for (const call of source.calls()) {
    if (receiver(call) === undefined || !runs.test(calleeName(call) ?? '')) continue;
    const [statement] = children(call, 'arguments');
    if (statement === undefined || !isBuilt(statement, source)) continue;
    const open = valueInSql(statement, source);
    if (open === undefined) continue;
    yield {
      line: lineOf(call),
      title: `SQL text built from \`${short(source, open)}\``,
      detail: `\`${short(source, open)}\` becomes part of the statement itself, so a quote or an operator in it changes what the statement does.`,
      suggestion: 'Pass the value as a parameter of the statement (`?` or `$1`).',
    };
  }
}

function valueInSql(statement: SyntaxNode, source: Source): SyntaxNode | undefined {
  let before = '';
  for (const piece of pieces(statement, source)) {
    if (typeof piece === 'string') before += piece;
    else {
      if (!/^\s*(select|insert\s+into|update|delete\s+from|replace\s+into)\s/i.test(before)) return undefined;
      const isValue = /(=|<|>|\blike|\bin\s*\(|\bvalues\s*\([^)]*[,(]|\bbetween|\band)\s*['"%]*$/i.test(before);
      const isPlaceholder = /placeholder|\?|'\$'|`\$|params|bind/i.test(source.textOf(source.constant(piece) ?? piece));
      if (isValue && !isPlaceholder && isVariable(piece) && usesParameter(piece, source)) return piece;
      before += '1';
    }
  }
  return undefined;
}

/** Markup set from a variable: innerHTML, outerHTML, insertAdjacentHTML, document.write, dangerouslySetInnerHTML. */
function* unescapedHtml(source: Source): Generator<Hit> {
  for (const { place, value, how } of htmlSinks(source)) {
    if (isConstant(value, source) || isEscaped(value, source)) continue;
    const open = openPart(
      value,
      source,
      (part) => isVariable(part) && !/html$/i.test(nameOf(part) ?? '') && usesParameter(part, source),
    );
    if (open === undefined) continue;
    yield {
      line: lineOf(place),
      title: `${how} is set from \`${short(source, open)}\``,
      detail: `Markup in \`${short(source, open)}\` takes effect: if a user can choose the value, he can run script in the page.`,
      suggestion: 'Use textContent, or escape or sanitise the value first.',
      ...(isBuilt(value, source) && { severity: 'high' }),
    };
  }
}

function* htmlSinks(source: Source): Generator<{ place: SyntaxNode; value: SyntaxNode; how: string }> {
  for (const place of source.nodes('AssignmentExpression')) {
    const target = child(place, 'left');
    const value = child(place, 'right');
    const how = isMember(target) ? (nameOf(target) ?? '') : '';
    if (value !== undefined && /^(inner|outer)HTML$/.test(how)) yield { place, value, how };
  }
  for (const place of source.calls()) {
    const [first, second] = children(place, 'arguments');
    const how = calleeName(place);
    if (how === 'insertAdjacentHTML' && second !== undefined) yield { place, value: second, how };
    const isDocument = source.isGlobal(receiver(place), 'document');
    if (isDocument && first !== undefined && (how === 'write' || how === 'writeln')) {
      yield { place, value: first, how: `document.${how}()` };
    }
  }
  for (const place of source.nodes('ObjectProperty')) {
    const value = child(place, 'value');
    if (keyOf(place) === '__html' && value !== undefined) yield { place, value, how: 'dangerouslySetInnerHTML' };
  }
}

/** Certificates that are not checked. */
function* tlsCheckOff(source: Source): Generator<Hit> {
  const facts = {
    detail: 'Any certificate is accepted then, so whoever sits on the way can read and change what is sent.',
    suggestion: 'Leave the check on; give the certificate of a private authority with the `ca` option.',
  };
  for (const property of source.nodes('ObjectProperty')) {
    const value = child(property, 'value');
    if (keyOf(property) !== 'rejectUnauthorized' || value?.type !== 'BooleanLiteral' || flag(value, 'value')) continue;
    if (isOptional(property, source)) continue;
    yield { line: lineOf(property), title: 'TLS certificates are not checked', ...facts };
  }
  for (const assignment of source.nodes('AssignmentExpression')) {
    const target = child(assignment, 'left');
    const value = child(assignment, 'right');
    if (!isMember(target) || nameOf(target) !== 'NODE_TLS_REJECT_UNAUTHORIZED' || value === undefined) continue;
    if (!/^['"`]?0['"`]?$/.test(source.textOf(value))) continue;
    yield { line: lineOf(assignment), title: 'TLS certificates are not checked in the whole process', ...facts };
  }
}

/** Whether something is done only under a condition, which makes it an option of the program. */
function isOptional(node: SyntaxNode, source: Source): boolean {
  for (const ancestor of source.ancestors(node)) {
    if (isFunction(ancestor)) return false;
    if (/^(IfStatement|ConditionalExpression|LogicalExpression)$/.test(ancestor.type)) return true;
  }
  return false;
}

/** A file whose path a client chooses. */
function* requestPath(source: Source): Generator<Hit> {
  for (const call of source.calls()) {
    const [path, options] = children(call, 'arguments');
    const origin = source.origin(child(call, 'callee'));
    const isSend = /^(sendFile|download)$/.test(calleeName(call) ?? '') && options?.type !== 'ObjectExpression';
    const isFile = origin !== undefined && /^fs(\.promises)?$|^fs-extra$/.test(origin.module);
    if (path === undefined || !(isFile || isSend) || !comesFromRequest(path, source)) continue;
    const around = source.functionOf(call) ?? source.root;
    if (/startsWith\(|relative\(|basename\(|realpath|\.test\(|\.match\(|\.has\(|includes\(/.test(source.textOf(around)))
      continue;
    yield {
      line: lineOf(call),
      title: 'The client chooses which file is opened',
      detail: `The path of ${calleeName(call)}() is made from the request, and nothing in this function keeps \`../\` out of it.`,
      suggestion: 'Resolve the path and refuse it unless it stays inside the intended folder.',
    };
  }
}

/** A redirect to wherever the request says. */
function* openRedirect(source: Source): Generator<Hit> {
  for (const call of source.calls()) {
    const target = children(call, 'arguments').at(-1);
    if (calleeName(call) !== 'redirect' || !/^(res|response|reply)$/.test(nameOf(receiver(call)) ?? '')) continue;
    if (!isMember(bare(target)) || !comesFromRequest(target, source)) continue;
    yield {
      line: lineOf(call),
      title: 'The request chooses where the redirect leads',
      detail: 'A link to this site can send its visitor to any other site.',
      suggestion: 'Allow only paths of this site, or a list of known addresses.',
    };
  }
}

/** JSON web tokens that need no signature. */
function* unsignedJwt(source: Source): Generator<Hit> {
  for (const property of source.nodes('ObjectProperty')) {
    const key = keyOf(property);
    const value = child(property, 'value');
    const listed = key === 'algorithms' ? children(value, 'elements') : key === 'algorithm' && value ? [value] : [];
    if (!listed.some((one) => one.type === 'StringLiteral' && word(one, 'value')?.toLowerCase() === 'none')) continue;
    const object = source.parent(property);
    const call = object && source.parent(object);
    if (!isCall(call) || !/^(sign|verify|jwtVerify)$/i.test(calleeName(call) ?? '')) continue;
    yield {
      line: lineOf(property),
      title: 'Tokens without a signature are accepted',
      detail: 'With the algorithm "none" a token needs no signature: anyone can write one.',
      suggestion: 'List only the algorithms that are really used, such as RS256 or HS256.',
    };
  }
}

/** Whether an expression is text that is put together from parts. */
function isBuilt(node: SyntaxNode, source: Source): boolean {
  const value = bare(node);
  return isText(source.constant(value) ?? value);
}

function openPart(node: SyntaxNode, source: Source, isOpen: (part: SyntaxNode) => boolean): SyntaxNode | undefined {
  for (const piece of pieces(node, source)) {
    if (typeof piece !== 'string' && !isPlainNumber(piece, source) && isOpen(piece)) return piece;
  }
  return undefined;
}

function isVariable(node: SyntaxNode): boolean {
  return node.type === 'Identifier' || isMember(node);
}

function usesShell(options: SyntaxNode | undefined): boolean {
  return children(options, 'properties').some(
    (property) => keyOf(property) === 'shell' && flag(child(property, 'value'), 'value'),
  );
}

function short(source: Source, node: SyntaxNode): string {
  const text = source.textOf(node).replace(/\s+/g, ' ').replaceAll('`', "'");
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
