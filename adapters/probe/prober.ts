import { request } from 'node:http';
import { connect } from 'node:net';

/** Where to knock, and how long to wait for an answer. */
export interface ProbeTarget {
  /**
   * The container's own address: at the published port Docker's proxy may answer for a dead application. The node's, to
   * know whether that port leads anywhere.
   */
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
}

/** `null` means that the check passed; anything else is the reason why not. */
export type ProbeAnswer = string | null;

/** Knocks at applications. */
export interface Prober {
  /** Passes when a TCP connection is accepted. */
  probeTcp(target: ProbeTarget): Promise<ProbeAnswer>;
  /** Passes when a GET of `path` answers with the expected status, or any of 200 to 399. Redirects are not followed. */
  probeHttp(target: ProbeTarget & { path: string; expectedStatus: number | null }): Promise<ProbeAnswer>;
}

/** Creates the prober. It keeps nothing open between checks. */
export function createProber(): Prober {
  return { probeTcp, probeHttp };
}

function probeTcp({ host, port, timeoutMs }: ProbeTarget): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: ProbeAnswer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(`port ${port} did not answer within ${timeoutMs} ms`), timeoutMs);
    socket.once('connect', () => end(null));
    socket.once('error', (error) => end(`port ${port} refused the connection (${codeOf(error)})`));
  });
}

function probeHttp(target: ProbeTarget & { path: string; expectedStatus: number | null }): Promise<ProbeAnswer> {
  const { host, port, path, timeoutMs, expectedStatus } = target;
  return new Promise((resolve) => {
    const headers = { 'user-agent': 'obiente-health-check', connection: 'close' };
    const call = request({ host, port, path, headers, agent: false });
    const end = (answer: ProbeAnswer): void => {
      clearTimeout(timer);
      call.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(`GET ${path} did not answer within ${timeoutMs} ms`), timeoutMs);
    call.once('response', ({ statusCode = 0 }) => {
      const passed = expectedStatus === null ? statusCode >= 200 && statusCode < 400 : statusCode === expectedStatus;
      end(passed ? null : `GET ${path} answered ${statusCode}; allowed is ${expectedStatus ?? '200 to 399'}`);
    });
    call.on('error', (error) => end(`GET ${path} failed (${codeOf(error)})`));
    call.end();
  });
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
