/** A small MCP server on standard streams. It says some noise first, and its tools go wrong as they are told. */
import { createInterface } from 'node:readline';

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const named = (name) => ({ name, description: `To ${name}.`, inputSchema: { type: 'object', properties: {} } });
const pages = {
  undefined: { tools: [named('show'), named('fail')], nextCursor: 'more' },
  more: { tools: [named('wait'), named('crash'), named('big'), { name: 'no schema' }, named('büro/ask')] },
};

const tools = {
  show: ({ x }) => ({
    content: [
      { type: 'text', text: `x is ${x}` },
      { type: 'image', mimeType: 'image/png', data: 'AAAA' },
    ],
  }),
  fail: () => ({ content: [{ type: 'text', text: 'it is broken' }], isError: true }),
  wait: () => undefined,
  big: () => ({ content: [{ type: 'text', text: 'x'.repeat(300_000) }] }),
  crash: () => process.exit(3),
  'büro/ask': () => ({ content: [], structuredContent: { pid: process.pid, secret: process.env.SECRET } }),
};

process.stdout.write('starting…\nnull\n[]\n');
if (process.argv[2] === 'crash') {
  process.stderr.write('I cannot.\n');
  process.exit(4);
}
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  const answer = (result) => result !== undefined && say({ jsonrpc: '2.0', id, result });
  if (process.argv[2] === 'hang') return;
  if (method === 'initialize') {
    const { protocolVersion } = params;
    answer({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'small', version: '1' } });
  } else if (method === 'tools/list') answer(pages[params?.cursor]);
  else if (method === 'tools/call') answer(tools[params.name](params.arguments));
});
