/** The agents of a chat: the one that is spoken to, and the commands about all of them. */
import { TroupeError } from '../core/errors.ts';
import type { Spend } from '../core/usage.ts';
import type { Agent } from '../runtime/agent.ts';
import type { AgentSpec } from '../runtime/agent-spec.ts';
import type { Troupe } from '../runtime/troupe.ts';
import { count, oneLine, plain, table } from './terminal.ts';

/** One command of a chat. */
interface Command {
  readonly usage: string;
  readonly help: string;
  /** Does it; gives what to print. */
  run(cast: Cast, argument: string): Promise<string> | string;
}

const commands: Readonly<Record<string, Command>> = {
  help: { usage: '/help', help: 'say what there is', run: () => helpText() },
  fork: {
    usage: '/fork [name]',
    help: 'an agent that knows what was said so far; go on with it',
    run: (cast, name) => cast.fork(name),
  },
  agents: { usage: '/agents', help: 'list the agents', run: (cast) => cast.list() },
  usage: { usage: '/usage', help: 'tokens and USD of each agent and of all', run: (cast) => cast.usage() },
  switch: { usage: '/switch name', help: 'speak to another agent', run: (cast, name) => cast.switch(name) },
  kill: {
    usage: '/kill [name]',
    help: 'end an agent, this one if none is named',
    run: (cast, name) => cast.kill(name),
  },
  history: { usage: '/history', help: 'what was said', run: (cast) => cast.history() },
  clear: { usage: '/clear', help: 'this agent forgets what was said', run: (cast) => cast.clear() },
  exit: { usage: '/exit', help: 'leave; so does Ctrl-D', run: (cast) => cast.leave() },
};

interface CastSetup {
  /** Of every agent of the chat. */
  readonly spec: AgentSpec;
  /** Names of agents that are kept and are not of this chat. */
  readonly others: ReadonlySet<string>;
  readonly first: Agent;
}

export class Cast {
  readonly #troupe: Troupe;
  readonly #spec: AgentSpec;
  readonly #others: ReadonlySet<string>;
  #current: Agent;
  #isOver = false;

  constructor(troupe: Troupe, { spec, others, first }: CastSetup) {
    this.#troupe = troupe;
    this.#spec = spec;
    this.#others = others;
    this.#current = first;
  }

  /** The agent that is spoken to. */
  get current(): Agent {
    return this.#current;
  }

  /** Whether `/exit` was given. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Does what a line that begins with `/` says; gives what to print. Rejects when it cannot be done. */
  async run(line: string): Promise<string> {
    const [, word = '', argument = ''] = /^\/(\S*)\s*(.*)$/s.exec(line) ?? [];
    const command = Object.hasOwn(commands, word) ? commands[word] : undefined;
    if (command !== undefined) return command.run(this, argument.trim());
    const known = Object.keys(commands).map((name) => `/${name}`);
    throw wrong(`There is no /${word}; there are ${known.join(', ')}. Text that begins with "/" goes between """.`);
  }

  async fork(name: string): Promise<string> {
    const parent = this.#current;
    if (this.#others.has(name)) throw wrong(`"${oneLine(name)}" is kept from before: give another name.`);
    this.#current = await parent.fork(name === '' ? this.#freeName() : name);
    const known = count(parent.messages().length, 'message');
    return `${this.#current.name} knows ${known} of ${parent.name}. Back: /switch ${parent.name}`;
  }

  list(): string {
    const rows = this.#troupe.agents().map(({ name, state, backend, model }) => {
      const messages = this.#troupe.agent(name)?.messages().length ?? 0;
      const mark = name === this.#current.name ? '*' : ' ';
      return [mark, name, state, `${plain(backend)}/${plain(model)}`, count(messages, 'message')];
    });
    return table(rows);
  }

  usage(): string {
    const row = (name: string, { usage, costUsd }: Spend) => [
      name,
      String(usage.inputTokens ?? '?'),
      String(usage.outputTokens ?? '?'),
      costUsd?.toFixed(4) ?? '?',
    ];
    const agents = this.#troupe.agents().map((agent) => row(agent.name, agent));
    const header = ['agent', 'tokens in', 'tokens out', 'USD'];
    return table([header, ...agents, row('all, dead ones too', this.#troupe.usage())], [1, 2, 3]);
  }

  switch(name: string): string {
    this.#current = this.#agent(name);
    return `You speak to ${name}.`;
  }

  async kill(name: string): Promise<string> {
    const agent = name === '' ? this.#current : this.#agent(name);
    const next = this.#troupe.agents().find((other) => other.name !== agent.name);
    if (next === undefined) throw wrong(`${agent.name} is the only agent: /clear makes it forget, /exit leaves.`);
    await agent.kill();
    if (agent !== this.#current) return `${agent.name} is gone.`;
    this.#current = this.#agent(next.name);
    return `${agent.name} is gone. You speak to ${next.name}.`;
  }

  history(): string {
    const lines = this.#current
      .messages()
      .map(({ role, content }) => `${role === 'assistant' ? this.#current.name : role}: ${plain(content)}`);
    return lines.length === 0 ? 'Nothing was said yet.' : lines.join('\n');
  }

  /** A new agent takes the place of this one, also when it is dead. */
  async clear(): Promise<string> {
    const { name } = this.#current;
    await this.#current.kill('cleared');
    this.#current = await this.#troupe.spawn(name, this.#spec);
    return `${name} has forgotten what was said.`;
  }

  leave(): string {
    this.#isOver = true;
    return '';
  }

  #agent(name: string): Agent {
    const agent = this.#troupe.agent(name);
    if (agent !== undefined) return agent;
    const names = this.#troupe.agents().map((known) => known.name);
    throw wrong(`There is no agent "${oneLine(name)}"; there are ${names.join(', ')}.`);
  }

  /** `chat-2`, or the next number that is free. */
  #freeName(): string {
    const stem = this.#current.name.replace(/-\d+$/, '');
    let number = 2;
    const isTaken = (name: string) => this.#others.has(name) || this.#troupe.agent(name) !== undefined;
    while (isTaken(`${stem}-${number}`)) number += 1;
    return `${stem}-${number}`;
  }
}

function wrong(message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}

function helpText(): string {
  const rows = Object.values(commands).map(({ usage, help }) => [usage, help]);
  const keys = [
    ['a line that ends in \\', 'goes on in the next line'],
    ['""" … """', 'a message of several lines, or one that begins with "/"'],
    ['Ctrl-C', 'cancels the answer that is running'],
  ];
  return table([...rows, ...keys]);
}
