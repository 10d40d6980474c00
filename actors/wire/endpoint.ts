/** Base URLs of servers: checked once, when a backend is made, so that nothing secret and nothing odd is in them later. */
import { BlockList, isIP } from 'node:net';
import { TroupeError } from '../../src/core/errors.ts';

/** The base URL of an API version: `/v1` is added unless the path names a version already. No slash at the end. */
export function parseEndpoint(endpoint: string, optionName?: string): URL {
  const url = parseBaseUrl(endpoint, optionName);
  if (!/\/v\d+[a-z0-9]*(\/|$)/.test(url.pathname)) url.pathname = `${url.pathname.replace(/\/$/, '')}/v1`;
  return url;
}

/** A base URL that holds nothing secret. No slash at the end of its path. */
export function parseBaseUrl(endpoint: string, optionName = '`endpoint`'): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '')
    throw invalid(
      `${optionName} must be an http or https URL such as http://localhost:8080, not "${masked(endpoint)}".`,
    );
  if (url.username !== '' || url.password !== '')
    throw invalid(`${optionName} "${masked(endpoint)}" holds a user name or password. Give the key as \`apiKey\`.`);
  if (url.search !== '' || url.hash !== '')
    throw invalid(`${optionName} "${masked(endpoint)}" holds a query. Give a key as \`apiKey\` or in \`headers\`.`);
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

/** Whether a host is this machine or one of its own network: loopback, private, link-local, or a name without a dot. */
export function isLocalHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  const family = isIP(host);
  if (family !== 0) return privateNetworks.check(host, family === 4 ? 'ipv4' : 'ipv6');
  return !host.includes('.') || /\.(localhost|local|internal|lan)$/.test(host);
}

const privateNetworks = new BlockList();
for (const [network, prefix] of [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
] as const)
  privateNetworks.addSubnet(network, prefix);
privateNetworks.addAddress('0.0.0.0');
privateNetworks.addAddress('::1', 'ipv6');
privateNetworks.addSubnet('fc00::', 7, 'ipv6');
privateNetworks.addSubnet('fe80::', 10, 'ipv6');

/** An endpoint without what may be secret in it. */
function masked(endpoint: string): string {
  return endpoint
    .replace(/[?#].*$/s, '?…')
    .replace(/^([^/]*\/\/)?.*@/s, '$1…@')
    .slice(0, 100);
}

function invalid(message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}
