import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { type Api, createApi } from './client.ts';
import type { Surroundings } from './credentials-file.ts';
import { findSession } from './session.ts';
import { createTerminal, type OutputStream, type Terminal } from './terminal.ts';

/** The world of one run of `obiente`: a process, or a test. */
export interface CliContext extends Surroundings {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Options that every command knows. */
export interface GlobalOptions {
  readonly json?: boolean;
  readonly org?: string;
}

/** What a command works with. */
export interface Invocation {
  readonly context: CliContext;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  /** Name or id of the organization, as typed or from OBIENTE_ORG. */
  readonly organization: string | undefined;
  /** The platform's API as the signed-in user; one connection a run. @throws UNAUTHENTICATED without a user. */
  openApi(): Promise<Api>;
}

/** Wraps what a command does into a commander action, and closes its connection in the end. */
export function action<Options, Arguments extends readonly unknown[]>(
  context: CliContext,
  run: (invocation: Invocation, options: Options, ...args: Arguments) => Promise<void>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1) as Command;
    const globals = command.optsWithGlobals<GlobalOptions>();
    const { stdout, stderr, env, signal } = context;
    let api: Promise<Api> | undefined;
    const invocation: Invocation = {
      context,
      terminal: createTerminal({ stdout, stderr, env, isJson: globals.json === true }),
      signal,
      organization: globals.org ?? (env.OBIENTE_ORG || undefined),
      openApi: () => {
        api ??= findSession(context).then(({ apiUrl, tokens }) => createApi({ url: apiUrl, tokens }));
        return api;
      },
    };
    try {
      await run(invocation, given.at(-2) as Options, ...(given.slice(0, -2) as unknown as Arguments));
    } finally {
      (await api?.catch(() => undefined))?.close();
    }
  };
}
