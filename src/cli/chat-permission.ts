/** Asks the person at the chat whether a tool may run. */
import type { ToolCall } from '../core/types.ts';
import type { Agent } from '../runtime/agent.ts';
import type { ApprovalDecision } from '../runtime/approval.ts';
import { note, oneLine } from './terminal.ts';

/** Asks a question; gives the line that was typed, or undefined when none will be. */
type Question = (text: string) => Promise<string | undefined>;

export class Permission {
  readonly #question: Question;
  /** Names of tools that may always run, of all agents of the chat. */
  readonly #always = new Set<string>();

  constructor(question: Question) {
    this.#question = question;
  }

  /** Decides on a call, if it still waits. */
  async decide(agent: Agent, call: ToolCall): Promise<void> {
    const waits = () => agent.approvals().some(({ call: { id } }) => id === call.id);
    if (!waits()) return;
    const decision = await this.#decision(call);
    if (waits()) agent.approve(call, decision ?? { deny: 'nobody is there to allow it.' });
    else if (decision !== undefined) note('The call waits no more.');
  }

  /** Undefined when no answer comes. */
  async #decision({ name, arguments: text }: ToolCall): Promise<ApprovalDecision | undefined> {
    while (!this.#always.has(name)) {
      const line = await this.#question(`allow ${oneLine(`${name} ${text}`)}? [y]es / [n]o / [a]lways `);
      const answer = line?.trim().toLowerCase();
      if (answer === undefined) return undefined;
      if (answer === 'y' || answer === 'yes') return 'allow';
      if (answer === 'n' || answer === 'no') return { deny: 'the user said no.' };
      if (answer === 'a' || answer === 'always') this.#always.add(name);
    }
    return 'allow';
  }
}
