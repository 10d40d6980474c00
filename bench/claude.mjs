/** What the Claude Code backend costs beside a bare pipe to the same command. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('echo-claude.mjs', import.meta.url));
const question = 'Is everything all right with the service today, or should somebody look at it before the evening?';
const answer = 'Everything is all right.';

/** One agent, one process, one ask after the other. */
export function claude({ library, size }) {
  const { createTroupe, claudeCli } = library;
  const backend = claudeCli({ command: process.execPath, args: [program], apiKey: 'none', model: 'm' });
  const troupe = createTroupe({ backends: { claude: backend } });
  const pipe = new Pipe();
  return {
    title: 'ask of Claude Code',
    target: 1.5,
    asks: size.asks,
    close: async () => {
      pipe.close();
      await troupe.close();
    },
    bare: async () => {
      await pipe.ask(question);
      return {
        run: async () => {
          for (let index = 0; index < size.asks; index += 1) check((await pipe.ask(question)).result);
        },
      };
    },
    troupe: async (name = 'agent') => {
      const agent = await troupe.spawn(name);
      await agent.ask(question);
      return {
        run: async () => {
          for (let index = 0; index < size.asks; index += 1) check((await agent.ask(question)).text);
        },
        clean: () => agent.kill(),
      };
    },
  };
}

/** What a careful programmer would write by hand: a line in, lines out, each parsed, the text joined. */
class Pipe {
  #process = spawn(process.execPath, [program, '--session-id=bare'], { stdio: ['pipe', 'pipe', 'inherit'] });
  #rest = '';
  #text = '';
  #resolve = () => {};

  constructor() {
    this.#process.stdout.setEncoding('utf8');
    this.#process.stdout.on('data', (data) => {
      const lines = (this.#rest + data).split('\n');
      this.#rest = lines.pop();
      for (const line of lines) this.#take(JSON.parse(line));
    });
  }

  ask(content) {
    this.#text = '';
    const message = { type: 'user', uuid: crypto.randomUUID(), message: { role: 'user', content } };
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#process.stdin.write(`${JSON.stringify(message)}\n`);
    });
  }

  close() {
    this.#process.stdin.end();
  }

  #take(line) {
    if (line.type === 'stream_event') this.#text += line.event.delta?.text ?? '';
    else if (line.type === 'result') this.#resolve({ result: this.#text, usage: line.usage });
  }
}

function check(text) {
  if (text !== answer) throw new Error(`A wrong answer: ${text}`);
}
