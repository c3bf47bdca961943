import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { refuse } from './failures.ts';
import type { CliContext } from './invocation.ts';

/** Longest secret that the platform takes. */
const MAX_BYTES = 16 * 1024;

/**
 * Reads a secret without ever showing it: typed at a prompt where standard input is a terminal, else all of standard
 * input without the end of its last line. Never an argument, which every user of the machine can see.
 *
 * @param what the secret in words, for the prompt: "password of robot at ghcr.io".
 * @throws INVALID_ARGUMENT when nothing or too much comes; AbortError on Ctrl-C.
 */
export async function readSecret(context: CliContext, what: string): Promise<string> {
  const secret = context.stdin.isTTY ? await ask(context, what) : await readAll(context);
  if (secret === '') throw refuse('password', 'nothing was given', 'Type it at the prompt, or pipe it in.');
  return secret;
}

async function readAll({ stdin }: CliContext): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stdin) {
    const buffer = Buffer.from(part);
    bytes += buffer.length;
    if (bytes > MAX_BYTES) throw refuse('password', `is longer than ${MAX_BYTES / 1024} KiB`);
    parts.push(buffer);
  }
  return Buffer.concat(parts)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

/** Edits the line as any prompt does, with its echo thrown away. */
async function ask({ stdin, stderr, signal }: CliContext, what: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const prompt = createInterface({ input: stdin, output: nowhere, terminal: true, historySize: 0 });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const interrupt = (): void => reject(new DOMException('interrupted', 'AbortError'));
  signal.addEventListener('abort', interrupt, { once: true });
  prompt.once('line', resolve);
  prompt.once('SIGINT', interrupt);
  prompt.once('close', () => resolve(''));
  stderr.write(`${what}: `);
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', interrupt);
    prompt.close();
    stderr.write('\n');
  }
}
