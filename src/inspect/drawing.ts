/** A machine as something to draw: its states and the ways between them, as plain data. */
import type { AnyStateMachine } from 'xstate';

export interface MachineDrawing {
  readonly id: string;
  readonly description: string;
  /** Parents before their children. */
  readonly states: readonly DrawnState[];
  readonly edges: readonly DrawnEdge[];
}

export interface DrawnState {
  /** Dotted: `awaiting.calling`. */
  readonly path: string;
  /** Path of the state around it; '' at the top. */
  readonly parent: string;
  readonly description: string;
  /** Whether the state around it begins here. */
  readonly initial: boolean;
  readonly final: boolean;
  /** What runs while it is in this state. */
  readonly invokes: readonly string[];
}

/** All transitions from one state to another. */
export interface DrawnEdge {
  /** Path of the state; '' = from anywhere in the machine. */
  readonly source: string;
  readonly target: string;
  readonly ways: readonly { readonly event: string; readonly guard?: string }[];
}

type Node = AnyStateMachine['root'];

/** The drawing of a machine. Transitions without a target, which change no state, are left out. */
export function drawMachine(machine: AnyStateMachine): MachineDrawing {
  const states: DrawnState[] = [];
  const edges = new Map<string, { source: string; target: string; ways: DrawnEdge['ways'][number][] }>();
  visit(machine.root, states, (source, target, way) => {
    const key = `${source} ${target}`;
    const edge = edges.get(key) ?? { source, target, ways: [] };
    if (!edge.ways.some(({ event, guard }) => event === way.event && guard === way.guard)) edge.ways.push(way);
    edges.set(key, edge);
  });
  return { id: machine.id, description: machine.root.description ?? '', states, edges: [...edges.values()] };
}

type OnEdge = (source: string, target: string, way: DrawnEdge['ways'][number]) => void;

function visit(node: Node, states: DrawnState[], onEdge: OnEdge): void {
  const path = pathOf(node);
  if (node.parent !== undefined) {
    states.push({
      path,
      parent: pathOf(node.parent),
      description: node.description ?? '',
      initial: (node.parent.initial?.target ?? []).includes(node),
      final: node.type === 'final',
      invokes: node.invoke.map(({ id }) => id),
    });
  }
  const transitions = [...[...node.transitions.values()].flat(), ...(node.always ?? [])];
  for (const { target, eventType, guard } of transitions) {
    for (const to of target ?? []) onEdge(path, pathOf(to), { event: shortEvent(eventType), ...guardName(guard) });
  }
  for (const child of Object.values(node.states)) visit(child, states, onEdge);
}

function pathOf(node: Node): string {
  return node.path.join('.');
}

function guardName(guard: unknown): { guard?: string } {
  if (typeof guard === 'string') return { guard };
  const { type } = (guard ?? {}) as { type?: unknown };
  return typeof type === 'string' ? { guard: type } : {};
}

/** An event's name for people: what XState calls `xstate.done.actor.wait` is `wait done`. */
export function shortEvent(type: string): string {
  const { kind, actor } = /^xstate\.(?<kind>done|error)\.(?:actor|state)\.(?<actor>.+)$/.exec(type)?.groups ?? {};
  if (actor !== undefined) return `${actor} ${kind === 'done' ? 'done' : 'failed'}`;
  return type === '' ? 'always' : type;
}
