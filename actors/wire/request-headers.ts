/** The headers of a request, checked once, when a backend is made. An error about one never shows its value. */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { TroupeError } from '../../src/core/errors.ts';

export interface HeaderOptions {
  /** The content types of the answers that can be read. */
  readonly accept: string;
  readonly apiKey?: string | undefined;
  /** They win over ours. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** The headers of every request of a backend that sends JSON. */
export function requestHeaders({ accept, apiKey, headers = {} }: HeaderOptions): Record<string, string> {
  const own = {
    'content-type': 'application/json',
    accept,
    'user-agent': 'troupe',
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
  };
  checkHeader('`apiKey`', 'authorization', own.authorization ?? '');
  const given = Object.entries(headers).map(([name, value]) => {
    checkHeader(`\`headers\`: "${name}"`, name, value);
    return [name.toLowerCase(), value] as const;
  });
  return { ...own, ...Object.fromEntries(given) };
}

function checkHeader(optionName: string, name: string, value: string): void {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  } catch {
    const message = `${optionName} holds what no HTTP header may hold, such as a line break. Take it out.`;
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
  }
}
