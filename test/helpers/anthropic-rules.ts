/** What Anthropic's server refuses of a request: the rules of the Messages API that a client can break. */

type Fields = Readonly<Record<string, unknown>>;
type Block = Fields & { readonly type?: unknown };

/** Why this request is refused; undefined when it is not. */
export function refusal(body: Fields | undefined): string | undefined {
  if (body === undefined) return 'the body is no JSON object';
  const { model, max_tokens: maxTokens, messages, system, thinking } = body;
  if (typeof model !== 'string' || model === '') return 'model: Field required';
  if (!Number.isSafeInteger(maxTokens) || (maxTokens as number) < 1) return 'max_tokens: Field required';
  const budget = (thinking as Fields | undefined)?.['budget_tokens'];
  if (budget !== undefined && (budget as number) >= (maxTokens as number))
    return '`max_tokens` must be greater than `thinking.budget_tokens`';
  if (system !== undefined && blocksOf(system).some(isBlankText))
    return 'system: text content blocks must be non-empty';
  const marks = JSON.stringify({ ...body, messages: undefined }).split('"cache_control"').length - 1;
  if (marks > 4) return `A maximum of 4 blocks with cache_control may be provided. Found ${marks}.`;
  if (!Array.isArray(messages) || messages.length === 0) return 'messages: at least one message is required';
  return toolProblem(body['tools']) ?? messagesProblem(messages as Fields[]);
}

const name = /^[a-zA-Z0-9_-]{1,128}$/;
const id = /^[a-zA-Z0-9_-]+$/;

function toolProblem(tools: unknown): string | undefined {
  const wrong = ((tools ?? []) as Fields[]).findIndex(
    (tool) => !name.test(String(tool['name'])) || (tool['input_schema'] as Fields | undefined)?.['type'] !== 'object',
  );
  return wrong === -1 ? undefined : `tools.${wrong}: Input does not match the expected shape`;
}

function messagesProblem(messages: readonly Fields[]): string | undefined {
  if (messages[0]?.['role'] !== 'user') return 'messages: first message must use the "user" role';
  if (messages.at(-1)?.['role'] !== 'user') return 'This model does not support assistant message prefill.';
  for (const [at, message] of messages.entries()) {
    const problem = messageProblem(message, messages[at - 1]);
    if (problem !== undefined) return `messages.${at}: ${problem}`;
  }
  return undefined;
}

function messageProblem({ role, content }: Fields, before: Fields | undefined): string | undefined {
  const blocks = blocksOf(content);
  if (role !== 'user' && role !== 'assistant')
    return 'Unexpected role. The Messages API takes `system` at the top level.';
  if (blocks.length === 0) return 'all messages must have non-empty content';
  if (blocks.some(isBlankText)) return 'text content blocks must contain non-whitespace text';
  if (role === before?.['role']) return 'roles must alternate between "user" and "assistant"';
  return role === 'assistant' ? assistantProblem(blocks) : userProblem(blocks, before);
}

function assistantProblem(blocks: readonly Block[]): string | undefined {
  const isThinking = ({ type }: Block) => type === 'thinking' || type === 'redacted_thinking';
  if (blocks.slice(1).some((block, at) => isThinking(block) && !isThinking(blocks[at]!)))
    return '`thinking` blocks must come first';
  if (blocks.some(({ type, signature }) => type === 'thinking' && typeof signature !== 'string'))
    return 'thinking.signature: Field required';
  if (isThinking(blocks.at(-1)!)) return 'The final block in an assistant message cannot be `thinking`.';
  const calls = blocks.filter(({ type }) => type === 'tool_use');
  if (new Set(calls.map((call) => call['id'])).size < calls.length) return '`tool_use` ids must be unique';
  const wrong = calls.find(
    (call) => !id.test(String(call['id'])) || !name.test(String(call['name'])) || !isObject(call['input']),
  );
  return wrong === undefined
    ? undefined
    : `tool_use: String should match pattern or input a dictionary: ${wrong['id']}`;
}

function userProblem(blocks: readonly Block[], before: Fields | undefined): string | undefined {
  const called = blocksOf(before?.['role'] === 'assistant' ? before['content'] : [])
    .filter(({ type }) => type === 'tool_use')
    .map((call) => call['id']);
  const answered = blocks.filter(({ type }) => type === 'tool_result').map((result) => result['tool_use_id']);
  if (blocks.slice(0, answered.length).some(({ type }) => type !== 'tool_result')) return 'tool results come first';
  const open = called.filter((one) => !answered.includes(one));
  if (open.length > 0) return `\`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${open}`;
  const unasked = answered.filter((one, at) => !called.includes(one) || answered.indexOf(one) !== at);
  return unasked.length > 0 ? `unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${unasked}` : undefined;
}

function blocksOf(content: unknown): Block[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return Array.isArray(content) ? content : [];
}

function isBlankText({ type, text }: Block): boolean {
  return type === 'text' && (typeof text !== 'string' || text.trim() === '');
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
