/** Security rules on secrets: written into the source, hashed weakly, or guessable. */
import type { Hit } from './finding.ts';
import { lineOf, type Rule } from './rule.ts';
import type { Source } from './source.ts';
import {
  bare,
  calleeName,
  child,
  children,
  isCall,
  isFunction,
  keyOf,
  nameOf,
  receiver,
  type SyntaxNode,
  within,
  word,
} from './syntax.ts';

/** The security rules on secrets. */
export const secretRules: readonly Rule[] = [
  { name: 'hard-coded-secret', domain: 'security', severity: 'high', check: hardCodedSecret },
  { name: 'password-hash', domain: 'security', severity: 'high', check: passwordHash },
  { name: 'weak-hash', domain: 'security', severity: 'low', check: weakHash },
  { name: 'guessable-secret', domain: 'security', severity: 'high', check: guessableSecret },
];

const secretName =
  /(password|passwd|passphrase|secret|apikey|accesskey|secretkey|privatekey|signingkey|encryptionkey|token)$/;
const unlikelySecret =
  /example|sample|placeholder|change|your|test|dummy|fake|mock|foo|bar|xxx|secret|password|1234|abcd|[<>{}$%\s]|^[./~#]|:\/\//i;

/** A literal that looks random, under a name that says it is secret. */
function* hardCodedSecret(source: Source): Generator<Hit> {
  for (const { name, value, place } of namedValues(source)) {
    const literal = fallback(value);
    const text = literal?.type === 'StringLiteral' ? (word(literal, 'value') ?? '') : '';
    const plain = plainName(name);
    if (!secretName.test(plain) || unlikelySecret.test(text)) continue;
    if (!(looksRandom(text) || (/pass(word|wd|phrase)$/.test(plain) && looksLikePassword(text)))) continue;
    yield {
      line: lineOf(place),
      title: `The value of \`${name}\` is written into the source`,
      detail: `Everybody who can read this file, or any old version of it, knows the value of \`${name}\`.`,
      suggestion: 'Read it from the environment or a secret store, and replace the value that was published here.',
    };
  }
}

/** A password that goes through a hash made for speed. */
function* passwordHash(source: Source): Generator<Hit> {
  for (const { hash, call } of hashes(source)) {
    if (!updates(call, source).some((data) => mentions(data, /^(password|passwd|passphrase)$|(Password|Passphrase)$/)))
      continue;
    yield {
      line: lineOf(call),
      title: `A password is hashed with ${hash}`,
      detail: `${hash} is made to be fast: who gets hold of the hashes can try billions of passwords per second.`,
      suggestion: 'Use scrypt (in node:crypto), argon2 or bcrypt, with a salt of its own for each password.',
    };
  }
}

/** MD5 at all, and SHA-1 over something secret or for a signature. */
function* weakHash(source: Source): Generator<Hit> {
  for (const { hash, call } of hashes(source)) {
    if (!/^(md5|sha1|sha-1)$/i.test(hash)) continue;
    const hashed = updates(call, source);
    if (hashed.some((data) => mentions(data, /^(password|passwd|passphrase)$|(Password|Passphrase)$/))) continue;
    const isSensitive = hashed.some((data) => mentions(data, /^(secret|token|signature)$|(Secret|Token|Signature)$/));
    if (!isSensitive && !/^md5$/i.test(hash)) continue;
    yield {
      line: lineOf(call),
      title: `${hash} is a weak hash`,
      detail: `Different inputs with the same ${hash} can be made at will. It serves as a checksum, not as a protection.`,
      suggestion: 'Use sha256, unless a protocol or an old format asks for this one.',
      ...(isSensitive && { severity: 'medium' }),
    };
  }
}

/** Math.random() for something that nobody may guess. */
function* guessableSecret(source: Source): Generator<Hit> {
  for (const call of source.calls()) {
    if (calleeName(call) !== 'random' || !source.isGlobal(receiver(call), 'Math')) continue;
    const name = secretMadeOf(call, source);
    if (name === undefined) continue;
    yield {
      line: lineOf(call),
      title: `\`${name}\` comes from Math.random()`,
      detail: 'Its next values can be computed from earlier ones, so it must not decide who gets in.',
      ...(/session/i.test(name) && { severity: 'medium' }),
      suggestion: 'Use randomBytes() or randomUUID() of node:crypto, or crypto.getRandomValues() in a browser.',
    };
  }
}

/** The secret that a call of Math.random() ends in, when it becomes text on its way there. */
function secretMadeOf(call: SyntaxNode, source: Source): string | undefined {
  const names = /(password|passphrase|secret|apikey|token|sessionid|resetcode|otp)$/;
  let isText = false;
  for (const ancestor of source.ancestors(call)) {
    if (ancestor.type === 'TemplateLiteral' || (isCall(ancestor) && calleeName(ancestor) === 'toString')) isText = true;
    const named =
      ancestor.type === 'ObjectProperty'
        ? keyOf(ancestor)
        : nameOf(child(ancestor, ancestor.type === 'VariableDeclarator' ? 'id' : 'left'));
    const target = isFunction(ancestor) ? source.functionName(ancestor) : named;
    if (isText && target !== undefined && names.test(plainName(target))) return target;
    if (isFunction(ancestor)) return undefined;
  }
  return undefined;
}

function* namedValues(source: Source): Generator<{ name: string; value: SyntaxNode; place: SyntaxNode }> {
  const types = ['VariableDeclarator', 'ObjectProperty', 'ClassProperty', 'AssignmentExpression', 'AssignmentPattern'];
  for (const place of source.nodes(...types)) {
    const name =
      place.type === 'ObjectProperty' || place.type === 'ClassProperty'
        ? keyOf(place)
        : nameOf(child(place, place.type === 'VariableDeclarator' ? 'id' : 'left'));
    const value = child(place, 'init') ?? child(place, 'right') ?? child(place, 'value');
    if (name !== undefined && value !== undefined) yield { name, value, place };
  }
}

/** A literal, or the literal that stands in when something else is missing. */
function fallback(value: SyntaxNode): SyntaxNode | undefined {
  const plain = bare(value);
  return plain.type === 'LogicalExpression' ? bare(child(plain, 'right')) : plain;
}

function* hashes(source: Source): Generator<{ hash: string; call: SyntaxNode }> {
  for (const call of source.calls()) {
    const origin = source.origin(child(call, 'callee'));
    const [algorithm] = children(call, 'arguments');
    if (origin?.module !== 'crypto' || origin.name !== 'createHash' || algorithm?.type !== 'StringLiteral') continue;
    yield { hash: word(algorithm, 'value') ?? '', call };
  }
}

/** What the chain after createHash() is fed with. */
function updates(created: SyntaxNode, source: Source): readonly SyntaxNode[] {
  const fed: SyntaxNode[] = [];
  let link = created;
  for (const ancestor of source.ancestors(created)) {
    if (isCall(ancestor) && receiver(ancestor) === link) {
      if (calleeName(ancestor) === 'update') fed.push(...children(ancestor, 'arguments').slice(0, 1));
      link = ancestor;
    } else if (child(ancestor, 'object') !== link) break;
  }
  return fed;
}

function mentions(node: SyntaxNode, name: RegExp): boolean {
  return [...within(node)].some((inner) => inner.type === 'Identifier' && name.test(nameOf(inner) ?? ''));
}

function plainName(name: string): string {
  return name.replace(/[-_]/g, '').toLowerCase();
}

/** Letters and digits mixed as no word is: at least 16 characters that change between the two three times. */
function looksRandom(text: string): boolean {
  const run = /[A-Za-z0-9+/_-]{16,}/.exec(text)?.[0];
  if (run === undefined || run.length < text.length * 0.6) return false;
  return (
    text.split(/[-_]/).some((part) => (part.match(/[A-Za-z]\d|\d[A-Za-z]/g) ?? []).length >= 3) &&
    new Set(run).size >= 9
  );
}

function looksLikePassword(text: string): boolean {
  return /^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[^()[\]^\\|]{8,64}$/.test(text);
}
