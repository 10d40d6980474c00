/** The headers of a request, checked once, when a backend is made. An error about one never shows its value. */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { TroupeError } from '../../src/core/errors.ts';

export interface HeaderOptions {
  /** The content types of the answers that can be read. */
  readonly accept: string;
  readonly apiKey?: string | undefined;
  /** Where the key goes. Default `authorization`, as bearer token. */
  readonly keyHeader?: 'authorization' | 'x-api-key';
  /** A bearer token beside a key that goes elsewhere. */
  readonly authToken?: string | undefined;
  /** They win over ours. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** The headers of every request of a backend that sends JSON. */
export function requestHeaders(options: HeaderOptions): Record<string, string> {
  const { accept, apiKey, keyHeader = 'authorization', authToken, headers = {} } = options;
  const keys = {
    ...(authToken === undefined ? {} : { authorization: `Bearer ${authToken}` }),
    ...(apiKey === undefined ? {} : { [keyHeader]: keyHeader === 'authorization' ? `Bearer ${apiKey}` : apiKey }),
  };
  checkHeader('`apiKey`', keyHeader, apiKey ?? '');
  checkHeader('`authToken`', 'authorization', authToken ?? '');
  const own = { 'content-type': 'application/json', accept, 'user-agent': 'troupe', ...keys };
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
