import { Chalk, type ChalkInstance } from 'chalk';
import { plainJson } from './plain-text.ts';

/** What a stream must have to be written to; `process.stdout` and a test's buffer both do. */
export interface OutputStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Where a command speaks: results to standard output, progress and errors to standard error. */
export interface Terminal {
  readonly isInteractive: boolean;
  readonly isJson: boolean;
  readonly paint: ChalkInstance;
  /** Columns of the terminal; unbounded when there is none. */
  readonly width: number;
  /** One line of the result, for people. Nothing with `--json`. */
  line(text: string): void;
  /** The result, with `--json` only: one document. */
  document(value: unknown): void;
  /** One item of an endless result, with `--json` only: one line. */
  record(value: unknown): void;
  /** One line of progress, beside the result. */
  note(text: string): void;
}

/** Creates the terminal of one command. Colours only on a terminal, and not when NO_COLOR is set. */
export function createTerminal(options: {
  stdout: OutputStream;
  stderr: OutputStream;
  env: Record<string, string | undefined>;
  isJson: boolean;
}): Terminal {
  const { stdout, stderr, env, isJson } = options;
  const isInteractive = stdout.isTTY === true && !isJson;
  const isPlain = Boolean(env.NO_COLOR) || env.TERM === 'dumb' || !isInteractive;
  return {
    isInteractive,
    isJson,
    paint: new Chalk({ level: isPlain ? 0 : 1 }),
    width: stdout.columns ?? Number.POSITIVE_INFINITY,
    line: (text) => {
      if (!isJson) stdout.write(`${text}\n`);
    },
    document: (value) => {
      if (isJson) stdout.write(`${plainJson(value, 2)}\n`);
    },
    record: (value) => {
      if (isJson) stdout.write(`${plainJson(value)}\n`);
    },
    note: (text) => {
      stderr.write(`${text}\n`);
    },
  };
}
