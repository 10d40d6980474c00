/** The README's tables about backends and models, as the catalog gives them. */
import { type BackendKind, type BackendRow, backendCatalog, recommendedSetups } from '../../src/core/catalog.ts';
import { type ModelInfo, modelCatalog } from '../../src/core/models.ts';

const rows = Object.entries(backendCatalog) as readonly (readonly [BackendKind, BackendRow])[];

/** How to get each backend, and what speaks for it. */
export function backendTables(): string {
  const set = rows.map(([kind, row]) => [code(kind), row.what, modelCell(kind, row), needsCell(kind, row)]);
  const weighed = rows.map(([kind, row]) =>
    kind === 'subprocess'
      ? [code(kind), ...Array(7).fill('as inside'), row.bestFor]
      : [
          code(kind),
          row.inference,
          row.price,
          row.capabilities.join(', '),
          row.gpu,
          row.latency,
          row.privacy,
          row.quality,
          row.bestFor,
        ],
  );
  return [
    ...table(['name', 'what', 'model', 'needs'], set),
    '',
    ...table(['name', 'inference', 'price', 'can', 'GPU', 'latency', 'privacy', 'quality', 'best for'], weighed),
    '',
  ].join('\n');
}

/** The models that are known, with their list prices. */
export function modelTable(): string {
  const known = modelCatalog.map((model) => [
    [model.id, ...model.aliases.filter((alias) => !alias.includes('-'))].map(code).join(', '),
    model.backends.length > 2 ? 'local servers' : model.backends.map(code).join(', '),
    model.contextTokens === undefined ? '' : model.contextTokens.toLocaleString('en'),
    model.tools ? 'yes' : 'no',
    model.speed,
    priceCell(model),
    model.bestFor,
  ]);
  const head = ['model', 'at', 'context, tokens', 'tools', 'speed', 'USD per million tokens, in and out', 'best for'];
  return [...table(head, known), ''].join('\n');
}

/** Which backend for what. */
export function setupTable(): string {
  const setups = recommendedSetups.map(({ purpose, backends, why }) => [purpose, backends.map(code).join(' or '), why]);
  return [...table(['for', 'use', 'because'], setups), ''].join('\n');
}

function modelCell(kind: BackendKind, { variables, model, endpoint }: BackendRow): string {
  if (kind === 'subprocess') return 'as inside';
  if (model === undefined) return endpoint === undefined ? '' : 'the first that it lists';
  return variables.model === undefined ? code(model) : `${code(variables.model)}, default ${code(model)}`;
}

function needsCell(kind: BackendKind, { variables, requiresKey, endpoint, inference }: BackendRow): string {
  const { apiKey, authToken, endpoint: place } = variables;
  if (requiresKey && place !== undefined) {
    const keys = [apiKey, authToken].filter((name) => name !== undefined).map(code);
    return `${keys.join(' or ')}, or ${code(place)} for a server of your own`;
  }
  if (endpoint !== undefined && place !== undefined) return `port ${new URL(endpoint).port}, or ${code(place)}`;
  if (kind === 'claude') return `the command \`claude\`, logged in or with ${code(apiKey ?? '')}`;
  if (kind === 'scripted') return 'a script';
  return inference === 'embedded' ? 'nothing' : 'a backend to run in it';
}

function priceCell({ price, backends }: ModelInfo): string {
  if (price === undefined) return backends.includes('ollama') ? 'free' : '';
  const { inputUsd, outputUsd, longPrompt } = price;
  const more =
    longPrompt === undefined
      ? ''
      : ` (${usd(longPrompt.inputUsd)}, ${usd(longPrompt.outputUsd)} above ${longPrompt.aboveTokens.toLocaleString('en')})`;
  return `${usd(inputUsd)}, ${usd(outputUsd)}${more}`;
}

function usd(amount: number): string {
  return amount.toFixed(2);
}

function code(text: string): string {
  return `\`${text}\``;
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string[] {
  return [
    `| ${head.join(' | ')} |`,
    `|${'---|'.repeat(head.length)}`,
    ...body.map((cells) => `| ${cells.join(' | ')} |`),
  ];
}
