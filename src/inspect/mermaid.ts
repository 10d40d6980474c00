/** A machine as text for Mermaid, which many Markdown viewers draw. */
import type { AnyStateMachine } from 'xstate';
import { checkOptions, rules } from '../core/options.ts';
import { type DrawnEdge, type DrawnState, drawMachine, type MachineDrawing } from './drawing.ts';

export interface MermaidOptions {
  /** How deep states within states are drawn; 1 = those at the top alone, with what their inner states lead to. Default: all. */
  readonly depth?: number;
  /** Whether the transitions say by which event and guard. Default true. */
  readonly labels?: boolean;
}

/** The machine as a `stateDiagram-v2`. What may happen in any state hangs on a state "anywhere". */
export function machineToMermaid(machine: AnyStateMachine, options: MermaidOptions = {}): string {
  checkOptions('machineToMermaid', options, { depth: rules.positiveCount, labels: rules.flag });
  const { depth = Number.POSITIVE_INFINITY, labels = true } = options;
  const { states, edges } = folded(drawMachine(machine), depth);
  const anywhere = edges.some(({ source }) => source === '') ? [`  state "anywhere" as ${anywhereId}`] : [];
  const lines = edges.map((edge) => (labels ? edgeLine(edge) : arrow(edge)));
  return `${['stateDiagram-v2', ...anywhere, ...drawn(states, '', 1), ...lines].join('\n')}\n`;
}

/** The drawing without what lies deeper; what leads out of there leads out of the state around it. */
function folded({ states, edges, ...drawing }: MachineDrawing, depth: number): MachineDrawing {
  const cut = (path: string) => path.split('.').slice(0, depth).join('.');
  const kept = new Map<string, DrawnEdge>();
  for (const { source, target, ways } of edges) {
    const [from, to] = [cut(source), cut(target)];
    if (from === to && source !== target) continue;
    const before = kept.get(`${from} ${to}`)?.ways ?? [];
    kept.set(`${from} ${to}`, { source: from, target: to, ways: [...before, ...ways] });
  }
  return { ...drawing, states: states.filter(({ path }) => cut(path) === path), edges: [...kept.values()] };
}

const anywhereId = 'anywhere';

/** The states within `parent`, each with those within it. */
function drawn(states: readonly DrawnState[], parent: string, depth: number): string[] {
  const indent = '  '.repeat(depth);
  return states
    .filter((state) => state.parent === parent)
    .flatMap(({ path, initial, final }) => {
      const name = path.slice(path.lastIndexOf('.') + 1);
      const inner = drawn(states, path, depth + 1);
      return [
        `${indent}state "${name}" as ${idOf(path)}`,
        ...(inner.length === 0 ? [] : [`${indent}state ${idOf(path)} {`, ...inner, `${indent}}`]),
        ...(initial ? [`${indent}[*] --> ${idOf(path)}`] : []),
        ...(final ? [`${indent}${idOf(path)} --> [*]`] : []),
      ];
    });
}

function edgeLine(edge: DrawnEdge): string {
  const label = edge.ways.map(({ event, guard }) => (guard === undefined ? event : `${event} [${guard}]`)).join(' / ');
  return `${arrow(edge)} : ${plain(label)}`;
}

function arrow({ source, target }: DrawnEdge): string {
  return `  ${source === '' ? anywhereId : idOf(source)} --> ${idOf(target)}`;
}

/** Mermaid's ids have neither dots nor dashes. */
function idOf(path: string): string {
  return path.replaceAll('_', '__').replaceAll('.', '_').replaceAll('-', '_');
}

/** Colons, semicolons and hashes end a label or begin an entity. */
function plain(label: string): string {
  return label
    .replaceAll('#', '#35;')
    .replaceAll(':', '#58;')
    .replace(/(?<!#\d+);/g, '#59;');
}
