import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../test/support/free-port.ts';
import { createProber } from './prober.ts';

const prober = createProber();
const silent = createTcpServer(() => undefined);
let web: Server;
let target: { host: string; port: number; timeoutMs: number };

beforeAll(async () => {
  web = createServer((request, response) => {
    response.writeHead(Number(request.url?.slice(1)), { location: '/200' }).end('x'.repeat(100_000));
  });
  web.listen(0, '127.0.0.1');
  silent.listen(0, '127.0.0.1');
  await Promise.all([once(web, 'listening'), once(silent, 'listening')]);
  target = { host: '127.0.0.1', port: (web.address() as AddressInfo).port, timeoutMs: 5_000 };
});

afterAll(() => {
  web.close();
  silent.close();
});

describe('an HTTP check', () => {
  it.each([
    ['200', null, null],
    ['204', null, null],
    ['302', null, null],
    ['404', 404, null],
    ['404', null, 'GET /404 answered 404; allowed is 200 to 399'],
    ['500', null, 'GET /500 answered 500; allowed is 200 to 399'],
    ['200', 204, 'GET /200 answered 200; allowed is 204'],
  ])('of an answer %s with %s expected', async (status, expectedStatus, answer) => {
    expect(await prober.probeHttp({ ...target, path: `/${status}`, expectedStatus })).toBe(answer);
  });

  it('fails when nothing answers in time', async () => {
    const { port } = silent.address() as AddressInfo;
    const answer = await prober.probeHttp({ ...target, port, path: '/', expectedStatus: null, timeoutMs: 50 });
    expect(answer).toBe('GET / did not answer within 50 ms');
  });

  it('fails when nobody listens', async () => {
    const port = await freePort();
    expect(await prober.probeHttp({ ...target, port, path: '/', expectedStatus: null })).toContain('ECONNREFUSED');
  });
});

describe('a TCP check', () => {
  it('passes when the connection is accepted, whatever comes after', async () => {
    const { port } = silent.address() as AddressInfo;
    expect(await prober.probeTcp({ ...target, port })).toBeNull();
  });

  it('fails when nobody listens', async () => {
    expect(await prober.probeTcp({ ...target, port: await freePort() })).toContain('refused the connection');
  });
});
