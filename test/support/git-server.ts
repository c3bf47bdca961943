import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { createSelfSignedCertificate } from '../../adapters/traefik/self-signed-certificate.ts';

/** The name that these servers have, unless it is another. */
export const GIT_SERVER_NAME = 'git.example.test';

/** How one server of a test behaves; what is not said is as any server does. */
export interface GitServerBehaviour {
  /** Basic authentication that every request must carry. */
  login?: { username: string; password: string };
  /** Answers instead of git; `false` leaves the request to git. */
  intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Changes what a client sends before git reads it. */
  rewrite?: (body: Buffer) => Buffer;
  /** Speaks the protocol of before 2018, whose servers refuse commits that no ref names. */
  isOld?: boolean;
  /** How long the network takes for each part of an answer, as on a slow one. */
  pauseMs?: number;
}

/** A server of bare repositories over HTTPS on loopback, by `git http-backend`. */
export interface GitServer {
  readonly port: number;
  /** `host:port` as URLs name it. */
  readonly host: string;
  readonly caFile: string;
  /** `method path` of every request, with its authorization when it had one. */
  readonly requests: { readonly line: string; readonly authorization: string | undefined }[];
  /** Bytes that git has answered with so far. */
  sentBytes: number;
  behaviour: GitServerBehaviour;
  url(repository: string): string;
  stop(): Promise<void>;
}

/** Serves the bare repositories below a folder; its certificate is `ca.pem` in another one. */
export async function startGitServer(
  root: string,
  folder: string,
  { name = GIT_SERVER_NAME, port: wantedPort = 0 } = {},
): Promise<GitServer> {
  const { certificate, key } = createSelfSignedCertificate({
    names: [name],
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 86_400_000),
  });
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, certificate);
  const server = createServer({ cert: certificate, key });
  const git: GitServer = {
    ...{ port: 0, host: '', caFile, requests: [], sentBytes: 0, behaviour: {} },
    url: (repository) => `https://${git.host}/${repository}`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(caFile);
    },
  };
  server.on('request', (request, response) => void answer(git, root, request, response));
  server.listen(wantedPort, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return Object.assign(git, { port, host: `${name}:${port}` });
}

async function answer(git: GitServer, root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { authorization } = request.headers;
  const { login, intercept } = git.behaviour;
  git.requests.push({ line: `${request.method} ${request.url}`, authorization });
  if (intercept?.(request, response)) return;
  const expected = login && `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
  if (login && authorization !== expected) {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('Unauthorized');
    return;
  }
  try {
    await askGit(git, root, request, response);
  } catch {
    // The client has left, and git with it.
    response.destroy();
  }
}

/** Runs git as a CGI program (RFC 3875). */
async function askGit(git: GitServer, root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { rewrite, isOld, pauseMs } = git.behaviour;
  const { pathname, search } = new URL(request.url ?? '/', 'https://any');
  const { headers } = request;
  const body = rewrite ? rewrite(await readBody(request)) : request;
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      HOME: root,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REMOTE_ADDR: '127.0.0.1',
      REQUEST_METHOD: request.method,
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: headers['content-type'] ?? '',
      ...(headers['content-encoding'] && !rewrite ? { HTTP_CONTENT_ENCODING: headers['content-encoding'] } : {}),
      ...(headers['git-protocol'] && !isOld ? { GIT_PROTOCOL: String(headers['git-protocol']) } : {}),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const closed = once(child, 'close');
  response.once('close', () => child.kill());
  if (Buffer.isBuffer(body)) child.stdin.end(body);
  else pipeline(body, child.stdin).catch(() => child.kill());
  await pipeline(child.stdout, async (output: AsyncIterable<Buffer>) => {
    let head: Buffer = Buffer.alloc(0);
    for await (const chunk of output) {
      git.sentBytes += chunk.length;
      if (pauseMs !== undefined) await delay(pauseMs);
      if (response.headersSent) response.write(chunk);
      else head = beginAnswer(response, Buffer.concat([head, chunk]));
    }
  });
  response.end();
  await closed;
}

/** Sends the header once it is whole, and what came behind it; answers with what is not yet enough. */
function beginAnswer(response: ServerResponse, head: Buffer): Buffer {
  const end = head.indexOf('\r\n\r\n');
  if (end < 0) return head;
  let status = 200;
  for (const line of head.toString('latin1', 0, end).split('\r\n')) {
    const [, name = '', value = ''] = /^([^:]+): (.*)$/.exec(line) ?? [];
    if (name === 'Status') status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
  response.write(head.subarray(end + 4));
  return Buffer.alloc(0);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  return request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
}
