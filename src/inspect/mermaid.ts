/** A machine as text for Mermaid, which many Markdown viewers draw. */
import type { AnyStateMachine } from 'xstate';
import { type DrawnEdge, type DrawnState, drawMachine } from './drawing.ts';

/** The machine as a `stateDiagram-v2`. What may happen in any state hangs on a state "anywhere". */
export function machineToMermaid(machine: AnyStateMachine): string {
  const { states, edges } = drawMachine(machine);
  const anywhere = edges.some(({ source }) => source === '') ? [`  state "anywhere" as ${anywhereId}`] : [];
  const lines = ['stateDiagram-v2', ...anywhere, ...drawn(states, '', 1), ...edges.map(edgeLine)];
  return `${lines.join('\n')}\n`;
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

function edgeLine({ source, target, ways }: DrawnEdge): string {
  const label = ways.map(({ event, guard }) => (guard === undefined ? event : `${event} [${guard}]`)).join(' / ');
  return `  ${source === '' ? anywhereId : idOf(source)} --> ${idOf(target)} : ${plain(label)}`;
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
