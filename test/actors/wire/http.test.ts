import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLocalHost, parseEndpoint } from '../../../actors/wire/endpoint.ts';
import { HttpClient, type HttpRequest } from '../../../actors/wire/http.ts';
import { redactor } from '../../../actors/wire/redact.ts';
import { type FaultServer, faultServer } from '../../../src/testing/fault-server.ts';
import { failure } from '../../helpers/model-request.ts';
import { openAiFaults, wholeText } from '../../helpers/openai-wire.ts';

let server: FaultServer;
const client = new HttpClient({ redact: redactor([]), maxReplyBytes: 1_000_000 });

beforeAll(async () => {
  server = await faultServer(openAiFaults);
});
afterAll(async () => {
  await client.close();
  await server.close();
});

function get(path: string, given: Partial<HttpRequest> = {}) {
  const { signal } = new AbortController();
  return client.send({ method: 'GET', url: new URL(path, server.url), headers: {}, signal, ...given });
}

describe('a request', () => {
  it('may be a GET whose reply is collected', async () => {
    const reply = await get('/fault:whole-json/models?x=1');
    expect(reply).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(reply.text).choices[0].message.content).toBe(wholeText);
    expect(server.requests.at(-1)).toMatchObject({ method: 'GET', path: '/fault:whole-json/models?x=1', text: '' });
    expect((await failure(get('/fault:big-5mb/x'))).code).toBe('TROUPE_ERR_BACKEND_TOO_LARGE');
  });

  it.each<[string, HttpRequest['body'] & {}]>([
    ['a text', 'Grüße'],
    ['bytes', Buffer.from('Grüße')],
    ['pieces', [Buffer.from('Gr'), Buffer.from('üß'), Buffer.from('e')]],
  ])('may have a body of %s', async (_kind, body) => {
    await get('/', { method: 'POST', body });
    expect(server.requests.at(-1)).toMatchObject({ text: 'Grüße', headers: { 'content-length': '7' } });
  });

  it('with a header that would break the request is refused before any byte', async () => {
    const before = server.counts.requests;
    const error = await failure(get('/', { headers: { 'x-key': 'canary\r\nx-evil: 1' } }));
    expect(error.code).toBe('TROUPE_ERR_OPTION_INVALID');
    expect(error.message).not.toContain('canary');
    expect(server.counts.requests).toBe(before);
  });

  it('of which the reader throws is a typed error and closes the connection', async () => {
    const { aborted } = server.counts;
    const onData = () => {
      throw new RangeError('too deep');
    };
    expect((await failure(get('/fault:endless/x', { onData }))).code).toBe('TROUPE_ERR_BACKEND_PROTOCOL');
    await server.when((counts) => counts.aborted > aborted);
  });

  it('takes nothing after the reader has enough', async () => {
    const { aborted } = server.counts;
    let pieces = 0;
    const onData = () => {
      pieces += 1;
      return pieces === 3;
    };
    await get('/fault:endless/x', { onData });
    await server.when((counts) => counts.aborted > aborted);
    expect(pieces).toBe(3);
  });
});

describe('an endpoint', () => {
  it.each([
    ['http://localhost:8080', 'http://localhost:8080/v1'],
    ['http://localhost:8080/', 'http://localhost:8080/v1'],
    ['http://localhost:8080/v1', 'http://localhost:8080/v1'],
    ['http://localhost:8080/v1///', 'http://localhost:8080/v1'],
    ['https://api.example.com/openai', 'https://api.example.com/openai/v1'],
    ['https://api.example.com/v1beta/openai/', 'https://api.example.com/v1beta/openai'],
    ['https://api.example.com/api/paas/v4', 'https://api.example.com/api/paas/v4'],
    ['HTTP://[::1]:1', 'http://[::1]:1/v1'],
  ])('is a base URL of one API version: %s', (given, url) => {
    expect(parseEndpoint(given).href).toBe(url);
  });

  it.each([
    'localhost',
    '127.0.0.1',
    '127.9.9.9',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.9.9',
    '192.168.1.1',
    '169.254.1.1',
    '0.0.0.0',
    '[::1]',
    '[fd00::1]',
    '[fe80::1]',
    'ollama',
    'box.local',
    'x.localhost',
    'host.docker.internal',
  ])('is local: %s', (host) => expect(isLocalHost(host)).toBe(true));

  it.each([
    'api.openai.com',
    '8.8.8.8',
    '172.32.0.1',
    '11.0.0.1',
    '[2001:db8::1]',
    'localhost.example.com',
    '10.example.com',
  ])('is not local: %s', (host) => expect(isLocalHost(host)).toBe(false));
});
