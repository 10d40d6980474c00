/** A client for the conformance suite, made of our pool: connects to the server it is given and calls each of its tools. */
import { ClientCredentialsProvider, PrivateKeyJwtProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';

const dist = process.env['TROUPE_TEST_DIST'] ?? new URL('../../dist', import.meta.url).pathname;
const { systemClock } = await import(`${dist}/actors/clock.js`);
const { resolveMcp } = await import(`${dist}/actors/tools/mcp-config.js`);
const { McpPool } = await import(`${dist}/actors/tools/mcp-pool.js`);

const url = process.argv.at(-1);
const scenario = process.env['MCP_CONFORMANCE_SCENARIO'] ?? '';
const context = JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}');
const redirectUrl = 'http://localhost:3000/callback';

/** A user who agrees to everything: follows the redirect and brings the code. */
class UserProvider {
  #client;
  #tokens;
  #verifier = '';
  #code = Promise.resolve('');
  clientMetadataUrl = 'https://conformance-test.local/client-metadata.json';
  redirectUrl = redirectUrl;
  clientMetadata = {
    client_name: 'troupe',
    redirect_uris: [redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_post',
  };

  constructor(client) {
    this.#client = client;
  }

  clientInformation = () => this.#client;
  saveClientInformation = (client) => {
    this.#client = client;
  };
  tokens = () => this.#tokens;
  saveTokens = (tokens) => {
    this.#tokens = tokens;
  };
  codeVerifier = () => this.#verifier;
  saveCodeVerifier = (verifier) => {
    this.#verifier = verifier;
  };
  redirectToAuthorization = (address) => {
    this.#code = fetch(address, { redirect: 'manual' }).then((response) => {
      return new URL(response.headers.get('location') ?? '', address).searchParams.get('code') ?? '';
    });
  };
  authorizationCode = () => this.#code;
}

const pool = new McpPool({ clock: systemClock, onEvent: () => {} });
const config = scenario.startsWith('auth/') ? { url, authProvider: authProvider() } : { url };
const [settings] = resolveMcp('conformance', { server: config });
try {
  const { server } = pool.lease(settings);
  await server.connect();
  for (const { name } of server.tools) {
    const args = name === 'add_numbers' ? { a: 5, b: 3 } : {};
    await server.call(name, args, { timeoutMs: 20_000 });
  }
} catch (error) {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
} finally {
  await pool.close();
}

function authProvider() {
  const { client_id: clientId, client_secret: clientSecret, private_key_pem: privateKey, signing_algorithm } = context;
  if (scenario === 'auth/client-credentials-basic') return new ClientCredentialsProvider({ clientId, clientSecret });
  if (scenario === 'auth/client-credentials-jwt') {
    return new PrivateKeyJwtProvider({ clientId, privateKey, algorithm: signing_algorithm ?? 'ES256' });
  }
  const known = clientId === undefined ? undefined : { client_id: clientId, client_secret: clientSecret };
  return new UserProvider(known);
}
