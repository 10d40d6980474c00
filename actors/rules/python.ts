/** A few rules over Python lines. Strings and comments are blanked first, so that only code is looked at. */
import type { Hit } from './finding.ts';
import type { TextRule } from './text-rules.ts';

/** The rules over Python. Each gets the text as it is. */
export const pythonRules: readonly TextRule[] = [
  { name: 'mutable-default', domain: 'style', severity: 'medium', check: (text) => perLine(text, mutableDefault) },
  { name: 'bare-except', domain: 'style', severity: 'medium', check: (text) => perLine(text, bareExcept) },
  { name: 'none-equality', domain: 'style', severity: 'low', check: (text) => perLine(text, noneEquality) },
  { name: 'tls-check-off', domain: 'security', severity: 'high', check: (text) => perLine(text, verifyOff) },
  { name: 'shell-command', domain: 'security', severity: 'high', check: (text) => perLine(text, shellCommand) },
  { name: 'unsafe-yaml', domain: 'security', severity: 'high', check: (text) => perLine(text, unsafeYaml) },
];

type Facts = Omit<Hit, 'line'>;

/** One line of code: `code` has its strings and comments blanked, `raw` is as written. */
interface Line {
  readonly code: string;
  readonly raw: string;
  /** The next line as written, trimmed. */
  readonly next: string;
}

function* perLine(text: string, rule: (line: Line) => Facts | undefined): Generator<Hit> {
  const code = blankStrings(text)?.split('\n');
  if (code === undefined) return;
  const raw = text.split('\n');
  for (const [index, line] of code.entries()) {
    const facts = rule({ code: line, raw: raw[index] ?? '', next: raw[index + 1]?.trim() ?? '' });
    if (facts !== undefined) yield { line: index + 1, ...facts };
  }
}

function mutableDefault({ code }: Line): Facts | undefined {
  const match =
    /^\s*(?:async\s+)?def\s+(\w+)\s*\(.*?(\w+)\s*(?::[^,=()]*)?=\s*(\[\s*\]|\{\s*\}|(?:list|dict|set)\(\s*\))\s*[,)]/.exec(
      code,
    );
  if (match === null || /^_|cache|memo/.test(match[2] ?? '')) return undefined;
  return {
    title: `The default of \`${match[2]}\` is shared by all calls`,
    detail: `\`${match[3]}\` is made once, when \`${match[1]}\` is defined: what one call adds to it, the next one finds in it.`,
    suggestion: 'Use None as the default and make a new one inside the function.',
  };
}

function bareExcept({ code, raw, next }: Line): Facts | undefined {
  if (!/^\s*except\s*:\s*(pass\s*)?$/.test(code) || !(/pass\s*$/.test(code) || next === 'pass') || raw.includes('#'))
    return undefined;
  return {
    title: 'Every error is dropped here, Ctrl-C and exit included',
    detail: '`except:` without a type also catches KeyboardInterrupt and SystemExit, and `pass` hides them all.',
    suggestion: 'Name the expected exception, and log or raise the others.',
  };
}

function noneEquality({ code }: Line): Facts | undefined {
  const operator = /[\w\])]\s*([!=]=)\s*None\b/.exec(code)?.[1];
  if (operator === undefined || /\b(filter|where|filter_by|case|and_|or_|select|column|Column)\b/.test(code))
    return undefined;
  return {
    title: `\`${operator} None\` asks the object, not for its identity`,
    detail: 'A class can answer this comparison as it likes; there is only one None, so identity is what is meant.',
    suggestion: `Use \`${operator === '==' ? 'is' : 'is not'} None\`.`,
  };
}

function verifyOff({ code }: Line): Facts | undefined {
  if (!/\brequests\.(get|post|put|patch|delete|head|request)\(.*\bverify\s*=\s*False\b/.test(code)) return undefined;
  return {
    title: 'TLS certificates are not checked',
    detail: 'Any certificate is accepted then, so whoever sits on the way can read and change what is sent.',
    suggestion: 'Leave the check on; name the certificate of a private authority with `verify="/path/to/ca.pem"`.',
  };
}

function shellCommand({ code, raw }: Line): Facts | undefined {
  if (!/\bsubprocess\.(run|call|Popen|check_output|check_call)\(.*\bshell\s*=\s*True\b/.test(code)) return undefined;
  if (!/\(\s*f["'][^"']*\{[a-z_][\w.]*\}/.test(raw)) return undefined;
  return {
    title: 'Shell command built from a variable',
    detail: 'With shell=True, a value such as `; rm -rf .` in the variable is run as a command of its own.',
    suggestion: 'Pass a list of arguments and leave shell=True out.',
  };
}

function unsafeYaml({ code }: Line): Facts | undefined {
  if (!/\byaml\.load\(\s*[\w.]+(\(\s*[\w.]*\s*\))?\s*,\s*Loader\s*=\s*yaml\.(Unsafe)?Loader\s*\)/.test(code))
    return undefined;
  return {
    title: 'YAML is loaded with a loader that can make any object',
    detail: 'A document made for it can run code while it is loaded.',
    suggestion: 'Use yaml.safe_load().',
  };
}

/** The text with strings overwritten by `§` and comments by spaces; undefined when a string does not end. */
function blankStrings(text: string): string | undefined {
  const token = /#[^\n]*|("""|''')(?:\\[\s\S]|(?!\1)[\s\S])*\1|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'/g;
  const blank = text.replace(token, (found) => found.replace(/[^\n]/g, found.startsWith('#') ? ' ' : '§'));
  return /["']/.test(blank) ? undefined : blank;
}
