import { Agent, type AgentOptions, type ClientRequest } from 'node:http';
import { inspect } from 'node:util';
import Dockerode from 'dockerode';
import { DomainError } from '../../domain/errors.ts';
import { createGetJson, SilentDaemon } from './get-json.ts';

declare module 'http' {
  /** What the types of Node.js leave out: where a client gives its request to be sent. */
  interface Agent {
    addRequest(request: ClientRequest, options: object): void;
  }
}

/** One Docker daemon, every call of which ends by a deadline of its own. */
export interface DockerConnection {
  readonly client: Dockerode;
  /** The same daemon for calls that the client cannot abort: their sockets are closed when they stay silent. */
  readonly impatient: Dockerode;
  /**
   * The same daemon for what is asked often: a GET by its path, ended by the signal, or by as long a silence as a call may
   * take. @throws as `call` does
   */
  getJson(what: string, path: string, signal: AbortSignal): Promise<unknown>;
  /**
   * Makes one call and waits for its answer.
   *
   * A timeout says nothing about what happened: the daemon may carry the call out later. So whoever changes something
   * looks again under the same name before trying again.
   *
   * @param what the call in words, for the error: "start container x".
   * @throws DOCKER_UNAVAILABLE (retryable) when the daemon is away, hangs or fails; INSUFFICIENT_CAPACITY when its disk
   * or address pool is used up; otherwise the code for its refusal, with {@link statusOf} telling which.
   */
  call<Answer>(
    what: string,
    run: (abortSignal: AbortSignal) => Promise<Answer>,
    options?: CallOptions,
  ): Promise<Answer>;
}

/** How long a call may take, and what else ends it. */
export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The client prints the options of each request, with the agent and every socket in it, for a debugger that is mostly off:
 * with thirty calls under way that took a node's process more time than all of its work. This agent prints as its name.
 */
export class BriefAgent extends Agent {
  [inspect.custom](): string {
    return 'Agent';
  }
}

/**
 * Asks before each request that may change something on the daemon, when it is about to be sent: whatever was decided
 * and waited for before, a request that is not allowed at this moment does not leave this process.
 */
class AskingAgent extends BriefAgent {
  readonly #beforeChange: () => void;

  constructor(options: AgentOptions, beforeChange: () => void) {
    super(options);
    this.#beforeChange = beforeChange;
  }

  /** What `http.request` gives every request to. */
  override addRequest(request: ClientRequest, options: object): void {
    if (!HARMLESS.has(request.method)) this.#beforeChange();
    super.addRequest(request, options);
  }
}

/** Methods that change nothing on the daemon. */
const HARMLESS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/** Connections that are kept for the next call: a round reads fifty containers at a time. */
const KEPT_CONNECTIONS = 64;

/** Creates the connection; the socket is opened at the first call, so a daemon may be away at the start. */
export function createDockerConnection(to: {
  readonly socketPath: string;
  readonly requestTimeoutMs: number;
  readonly beforeChange?: (() => void) | undefined;
}): DockerConnection {
  const agent = new AskingAgent(
    { keepAlive: true, maxFreeSockets: KEPT_CONNECTIONS },
    to.beforeChange ?? (() => undefined),
  );
  const options = { socketPath: to.socketPath, agent };
  const client = new Dockerode(options);
  const impatient = new Dockerode({ ...options, timeout: to.requestTimeoutMs });
  const getJson = createGetJson({ ...options, timeout: to.requestTimeoutMs });
  return {
    client,
    impatient,
    getJson: async (what, path, signal) => {
      try {
        return await getJson(path, signal);
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (error instanceof SilentDaemon) throw unanswered(what, to.requestTimeoutMs);
        throw toDomainError(what, error);
      }
    },
    call: async (what, run, options = {}) => {
      const timeoutMs = options.timeoutMs ?? to.requestTimeoutMs;
      const timeout = AbortSignal.timeout(timeoutMs);
      const signal = options.signal ? AbortSignal.any([timeout, options.signal]) : timeout;
      signal.throwIfAborted();
      try {
        return await orAborted(run(signal), signal);
      } catch (error) {
        if (options.signal?.aborted) throw options.signal.reason;
        if (timeout.aborted) throw unanswered(what, timeoutMs);
        throw toDomainError(what, error);
      }
    },
  };
}

/** HTTP status with which the daemon refused a call; `undefined` when there was no answer. */
export function statusOf(error: unknown): number | undefined {
  const cause = error instanceof DomainError ? error.cause : error;
  const status = (cause as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** What the daemon said about a refusal, without the client's decoration. */
export function answerOf(error: unknown): string {
  const cause = error instanceof DomainError ? error.cause : error;
  const { json, message } = (cause ?? {}) as { json?: { message?: unknown }; message?: unknown };
  const said = typeof json?.message === 'string' ? json.message : String(message ?? cause);
  return said.replace(/^\(HTTP code \d+\) [^-]*- /, '').trim();
}

function toDomainError(what: string, cause: unknown): DomainError {
  if (cause instanceof DomainError) return cause;
  const status = statusOf(cause);
  const said = `cannot ${what}: docker answered "${answerOf(cause)}"`;
  if (status === undefined) {
    const hint = 'Check that the Docker daemon of this node runs.';
    return new DomainError('DOCKER_UNAVAILABLE', `cannot ${what}: docker cannot be reached`, { cause, hint });
  }
  if (/no space left on device|non-overlapping IPv4 address pool/.test(answerOf(cause))) {
    const hint = 'Free disk space or address pools on this node, or add a node.';
    return new DomainError('INSUFFICIENT_CAPACITY', said, { cause, hint });
  }
  if (status === 404) return new DomainError('NOT_FOUND', said, { cause });
  if (status === 409) return new DomainError('REPLICA_CONFLICT', said, { cause });
  if (status >= 400 && status < 500) return new DomainError('INVALID_ARGUMENT', said, { cause });
  return new DomainError('DOCKER_UNAVAILABLE', said, { cause });
}

function unanswered(what: string, timeoutMs: number): DomainError {
  const hint = 'Check that the Docker daemon of this node and its containerd answer.';
  return new DomainError('DOCKER_UNAVAILABLE', `cannot ${what}: docker gave no answer within ${timeoutMs} ms`, {
    hint,
  });
}

/** The client's own promise never settles when a body stalls, so the signal decides as well. */
async function orAborted<Answer>(answer: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  answer.catch(() => undefined);
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
