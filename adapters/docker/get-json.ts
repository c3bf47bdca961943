import { type Agent, get, type IncomingMessage } from 'node:http';

/** Asks one daemon for JSON. @throws what a request fails of; the refusals of a daemon have a `statusCode` */
export type GetJson = (path: string, signal: AbortSignal) => Promise<unknown>;

/** A daemon that has said nothing for the whole of its time. */
export class SilentDaemon extends Error {}

/** Longest answer that is taken, bytes: what a daemon tells of one container is a few kilobytes. */
const LONGEST_ANSWER = 4 * 1024 ** 2;

/**
 * Creates a bare GET, for what is asked of every container every few seconds: the client's own work on a call, options
 * built and printed in several layers, is as much as a daemon's that answers at once.
 *
 * @param to.timeout longest silence, milliseconds
 */
export function createGetJson(to: {
  readonly socketPath: string;
  readonly agent: Agent;
  readonly timeout: number;
}): GetJson {
  return (path, signal) =>
    new Promise((resolve, reject) => {
      const answered = (answer: IncomingMessage): void => {
        readAll(answer, (text) => {
          const json = parse(text);
          if (answer.statusCode === 200 && json !== undefined) resolve(json);
          else reject(refusal(answer.statusCode, json));
        });
        answer.once('error', reject);
      };
      const request = get({ ...to, path, signal }, answered);
      request.once('timeout', () => request.destroy(new SilentDaemon('docker says nothing')));
      request.once('error', reject);
    });
}

function readAll(answer: IncomingMessage, done: (text: string) => void): void {
  const pieces: Buffer[] = [];
  let bytes = 0;
  answer.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > LONGEST_ANSWER) answer.destroy(new Error(`docker's answer is longer than ${LONGEST_ANSWER} bytes`));
    else pieces.push(piece);
  });
  answer.once('end', () => done(Buffer.concat(pieces).toString()));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(statusCode: number | undefined, json: unknown): Error {
  const { message } = (json ?? {}) as { message?: unknown };
  return Object.assign(new Error(typeof message === 'string' ? message : 'what is no JSON'), { statusCode, json });
}
