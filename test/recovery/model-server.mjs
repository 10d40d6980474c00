/**
 * A model server for many days at once, by the first part of their paths, that counts what it is asked. What an ask begins
 * with is its id; the words behind it are the tools that it wants, one a step, and then it is answered.
 */
import { createServer } from 'node:http';

/** What one day asked: how often each step of each ask, how much in all, and what was wrong with a request. */
export class Account {
  /** By ask, step and backend. */
  steps = new Map();
  calls = 0;
  faults = [];

  count(messages, path) {
    this.faults.push(...problemsOf(messages));
    const at = messages.findLastIndex(({ role }) => role === 'user');
    const [askId, ...wishes] = String(messages[at]?.content).split(' ');
    if (!askId.startsWith('victim')) this.calls += 1;
    const step = messages.slice(at).filter(({ role }) => role === 'assistant').length + 1;
    const key = `${askId} ${step} ${path}`;
    this.steps.set(key, (this.steps.get(key) ?? 0) + 1);
    return { askId, step, tool: wishes.filter((wish) => wish === 'pay' || wish === 'note')[step - 1] };
  }
}

/** What makes a list of messages none that a model may be sent. */
function problemsOf(messages) {
  const problems = [];
  const open = new Set();
  for (const [index, { role, tool_calls: calls = [], tool_call_id: id }] of messages.entries()) {
    if (role === 'tool') {
      if (!open.delete(id)) problems.push(`message ${index}: a result of "${id}", which is no open call`);
      continue;
    }
    if (open.size > 0) problems.push(`message ${index} comes before the results of ${[...open].join(', ')}`);
    if (role === 'system' && index > 0) problems.push(`message ${index}: a system message`);
    for (const call of calls) open.add(call.id);
  }
  if (open.size > 0) problems.push(`no results of ${[...open].join(', ')}`);
  return problems;
}

export async function modelServer() {
  const accounts = new Map();
  const accountOf = (day) => {
    const account = accounts.get(day) ?? new Account();
    accounts.set(day, account);
    return account;
  };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const [, day, path] = request.url.split('/');
    const { messages } = JSON.parse(Buffer.concat(chunks).toString());
    const { askId, step, tool } = accountOf(day).count(messages, path);
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (path === 'bad') {
      response.writeHead(500, { 'content-type': 'application/json' }).end('{"error":{"message":"down"}}');
      return;
    }
    const delta =
      tool === undefined
        ? { content: `answer to ${askId}` }
        : { tool_calls: [{ index: 0, id: `${askId}-${step}`, function: { name: tool, arguments: '{}' } }] };
    const finish = tool === undefined ? 'stop' : 'tool_calls';
    const chunk = (choice, usage) =>
      `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', model: 'good', choices: choice, usage })}\n\n`;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(chunk([{ index: 0, delta: { role: 'assistant', ...delta }, finish_reason: null }]));
    response.write(chunk([{ index: 0, delta: {}, finish_reason: finish }]));
    response.write(chunk([], { prompt_tokens: 10 * messages.length, completion_tokens: 5, total_tokens: 0 }));
    response.end('data: [DONE]\n\n');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    accountOf,
    close: () => new Promise((resolve) => server.close(resolve) && server.closeAllConnections()),
  };
}
