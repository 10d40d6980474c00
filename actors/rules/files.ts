/** What kind of file a path names, and whether its content is anything a person wrote. */

/** How a file is looked at; `text` means only the rules over any text. */
export type Language = 'script' | 'python' | 'readme' | 'manifest' | 'text';

const textExtensions = new Set(
  'go java kt rs rb php cs swift scala sh bash ps1 sql yml yaml toml ini cfg conf properties json env example tf vue svelte html css scss'.split(
    ' ',
  ),
);

/** How the rules look at a file; undefined when they do not understand it. */
export function languageOf(path: string): Language | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (/\.d\.[cm]?ts$/.test(name)) return undefined;
  if (/\.([cm]?[jt]s|[jt]sx)$/.test(name)) return 'script';
  if (name.endsWith('.py')) return 'python';
  if (/^readme\.(md|markdown)$/i.test(name)) return 'readme';
  if (name === 'package.json') return 'manifest';
  return textExtensions.has(name.slice(name.lastIndexOf('.') + 1).toLowerCase()) ? 'text' : undefined;
}

/** Whether a file is a test, a fixture, an example or a benchmark, where other customs hold. */
export function isTest(path: string): boolean {
  const folder =
    /(^|\/)(__\w+__|tests?|specs?|fixtures?|examples?|samples?|demos?|bench(marks?)?|e2e|mocks?|stor(y|ies))\//i;
  return (
    folder.test(path) ||
    /[._/-](test|spec|bench|stories|e2e|fixture)s?\.\w+$/i.test(path) ||
    /(^|\/)(test_\w+|conftest)\.py$/.test(path)
  );
}

/** Why nobody wrote this text by hand; undefined when somebody may have. */
export function whyGenerated(text: string): string | undefined {
  const head = text.slice(0, 1_500);
  if (
    /@generated|do not edit|auto-?generated|generated (by|from|file|code|automatically)|automatically generated/i.test(
      head,
    )
  )
    return 'generated';
  if (/^\/\/[#@] sourceMappingURL=/m.test(text.slice(-2_000))) return 'compiled';
  if (/Object\.defineProperty\(exports, ['"]__esModule['"]/.test(text.slice(0, 20_000))) return 'compiled';
  if (/^\/\/#region |^\/\*+\/? ?\(?__webpack|__webpack_require__/m.test(text.slice(0, 20_000))) return 'bundled';
  let longest = 0;
  let from = 0;
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
    longest = Math.max(longest, at - from);
    from = at + 1;
    count += 1;
  }
  longest = Math.max(longest, text.length - from);
  return longest > 2_000 || text.length / (count + 1) > 200 ? 'with very long lines' : undefined;
}
