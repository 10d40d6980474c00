/**
 * What a server said of its tools when they were first seen. Whoever lets a server's tools be used has, at best, read
 * that; a server that says something else later may want to talk the model into something. So models go on being told
 * the first description, and a tool that changed is not called until somebody approves it.
 */
import type { ListedTool } from './mcp-listing.ts';

interface Pin {
  readonly approved: ListedTool;
  /** What it says now, when that is something else. */
  changed?: ListedTool | undefined;
}

/** A server that shows new tools again and again has no more of them then. */
const maxPins = 2_000;

/** The pins of one server. They outlive its connections. */
export class McpPins {
  readonly #pins = new Map<string, Pin>();

  /** Takes a listing: the tools as models are told of them, and those that changed since the last listing. */
  take(listed: readonly ListedTool[]): { readonly tools: readonly ListedTool[]; readonly changed: readonly string[] } {
    const changed: string[] = [];
    const isFull = this.#pins.size >= maxPins;
    const usable = isFull ? listed.filter(({ name }) => this.#pins.has(name)) : listed;
    const tools = usable.map((tool) => {
      const pin = this.#pins.get(tool.name) ?? { approved: tool };
      const isChanged = pin.approved.print !== tool.print;
      if (isChanged && pin.changed?.print !== tool.print) changed.push(tool.name);
      this.#pins.set(tool.name, { approved: pin.approved, changed: isChanged ? tool : undefined });
      return pin.approved;
    });
    return { tools, changed };
  }

  isBlocked(tool: string): boolean {
    return this.#pins.get(tool)?.changed !== undefined;
  }

  /** Takes what a tool says now for good. Whether it had changed. */
  approve(tool: string): boolean {
    const changed = this.#pins.get(tool)?.changed;
    if (changed === undefined) return false;
    this.#pins.set(tool, { approved: changed });
    return true;
  }

  /** What models are told of a tool. */
  approved(tool: string): ListedTool | undefined {
    return this.#pins.get(tool)?.approved;
  }
}
