/** Ollama's own `/api/chat`: lines of JSON, calls whole and without the ids of others. */
import { last, part } from '../helpers/ollama-wire.ts';
import { type Body, type Dialect, newId, object, objects, renamed, textOf } from './dialect.ts';
import type { Failure, Heard, HeardMessage, Said } from './model.ts';

export const ollamaDialect: Dialect = {
  name: 'ollama',
  contentType: 'application/x-ndjson',
  wantsStream: (body) => body['stream'] !== false,
  hear: (body, problems) => {
    const { messages: list, format } = body;
    const messages = objects(list);
    const options = object(body['options']);
    if (messages.slice(1).some(({ role }) => role === 'system')) problems.push('a system message is not the first');
    if (typeof options['num_predict'] !== 'number') problems.push('the answer has no cap');
    if (body['truncate'] !== false || body['shift'] !== false) problems.push('the server may cut the prompt silently');
    return {
      model: String(body['model']),
      system: messages
        .filter(({ role }) => role === 'system')
        .map(({ content }) => textOf(content))
        .join('\n'),
      messages: heardMessages(messages.filter(({ role }) => role !== 'system')),
      tools: objects(body['tools']).map((tool) => {
        const { name, parameters } = object(tool['function']);
        return { name: String(name), parameters };
      }),
      parameters: renamed(options, parameterNames),
      ...(format === undefined ? {} : { format: format as NonNullable<Heard['format']> }),
    };
  },
  stream: (said) => ({
    begin: [],
    pieces: said.pieces.map((content) => part({ content })),
    end: [...(said.calls.length > 0 ? [part({ tool_calls: callsOf(said) })] : []), last(countsOf(said))],
  }),
  whole: (said) => {
    const calls = said.calls.length > 0 ? { tool_calls: callsOf(said) } : {};
    const message = { role: 'assistant', content: said.pieces.join(''), ...calls };
    return { ...JSON.parse(last(countsOf(said))), message };
  },
  refuse: (failure, model) => {
    return { status: Number.parseInt(failure, 10), body: { error: refusals[failure].replace('MODEL', model) } };
  },
};

const parameterNames = {
  temperature: 'temperature',
  top_p: 'topP',
  num_predict: 'maxTokens',
  stop: 'stop',
  seed: 'seed',
};

const refusals: Readonly<Record<Failure, string>> = {
  '400-context': 'the prompt is longer than the context length currently available to the model',
  '400': 'invalid options',
  '401': 'unauthorized',
  '404': "model 'MODEL' not found",
  '429': 'too many requests',
  '500': 'llama runner process has terminated',
};

/** A result belongs to the first call of its name that has none yet: it gets that call's id. */
function heardMessages(messages: readonly Body[]): HeardMessage[] {
  const open: { readonly id: string; readonly name: string }[] = [];
  return messages.map(({ role, content, tool_calls: list, tool_name: toolName }, index) => {
    const said = { role: role as HeardMessage['role'], text: textOf(content) };
    if (role === 'tool') {
      const at = open.findIndex(({ name }) => name === toolName);
      const [call] = at < 0 ? [] : open.splice(at, 1);
      return { ...said, callId: call?.id ?? `nothing for ${toolName}` };
    }
    if (list === undefined) return said;
    const calls = objects(list).map((call, position) => {
      const { name, arguments: args } = object(call['function']);
      return { id: `${index}-${position}`, name: String(name), arguments: args };
    });
    open.push(...calls);
    return { ...said, calls };
  });
}

function callsOf({ calls }: Said): object[] {
  return calls.map(({ name, arguments: args }, index) => ({
    id: newId('call_'),
    function: { index, name, arguments: args },
  }));
}

/** A count of 0 is left out. */
function countsOf({ tokens: { input, output } }: Said): object {
  return { prompt_eval_count: input, eval_count: output === 0 ? undefined : output };
}
