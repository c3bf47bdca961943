import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '../../domain/errors.ts';
import { GENERATION_HEADER, GENERATION_PATH } from '../../domain/routing.ts';
import { countRequests } from './request-counts.ts';

/** Longest time for one look; the internal entry point answers within 1 ms when it is there. */
const LOOK_TIMEOUT_MS = 2_000;

/** A change is applied within 4 ms as a rule: the first looks come quickly, later ones seldom. */
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 250;

/** Entry points are switched one after another: none was seen to lag, and this much is waited all the same. */
const SETTLE_MS = 20;

/** What is waited for. */
export interface AwaitGeneration {
  readonly generation: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Called before each look. */
  readonly onProgress: () => void;
}

/**
 * Sees which generation of routes every ingress serves, by the generation route on their internal entry points.
 *
 * An ingress that cannot be reached is never taken for one that serves: replicas that it might still send requests to
 * stay. `urls` are base URLs of internal entry points, for example `http://127.0.0.1:7401`.
 */
export function createIngressProbe({ urls }: { readonly urls: readonly string[] }) {
  const agent = new Agent({ keepAlive: true, maxSockets: 4, maxFreeSockets: 4 });
  return {
    /**
     * Resolves once every ingress serves `generation` or a later one.
     *
     * @throws INGRESS_UNCONFIRMED (retryable) after `timeoutMs`; the signal's reason when it is aborted.
     */
    async awaitGeneration(wanted: AwaitGeneration): Promise<void> {
      const deadline = AbortSignal.timeout(wanted.timeoutMs);
      const signal = AbortSignal.any([wanted.signal, deadline]);
      await Promise.all(urls.map((url) => awaitOne(agent, url, { ...wanted, signal, caller: wanted.signal })));
      await delay(SETTLE_MS, undefined, { signal: wanted.signal });
    },
    /** Requests that all ingresses have answered for a revision so far. @throws INGRESS_UNCONFIRMED (retryable) */
    countRequests: (of: Parameters<typeof countRequests>[1]) => countRequests(urls, of),
    /** Closes the kept connections. */
    close: (): void => agent.destroy(),
  };
}

async function awaitOne(
  agent: Agent,
  url: string,
  wanted: AwaitGeneration & { readonly caller: AbortSignal },
): Promise<void> {
  let found = 'it was not asked yet';
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      wanted.signal.throwIfAborted();
      wanted.onProgress();
      const generation = await observeGeneration(agent, url, wanted.signal);
      if (generation >= wanted.generation) return;
      found = `it serves generation ${generation}`;
    } catch (error) {
      wanted.caller.throwIfAborted();
      if (!wanted.signal.aborted) found = error instanceof Error ? error.message : String(error);
    }
    await delay(pauseMs, undefined, { signal: wanted.signal }).catch(() => wanted.caller.throwIfAborted());
    if (wanted.signal.aborted) throw unconfirmed(url, wanted, found);
  }
}

function unconfirmed(url: string, wanted: AwaitGeneration, found: string): DomainError {
  return new DomainError(
    'INGRESS_UNCONFIRMED',
    `waited ${wanted.timeoutMs} ms for the ingress at ${url} to serve generation ${wanted.generation}: ${found}`,
    { hint: 'Check that the ingress runs and reaches the API.' },
  );
}

function observeGeneration(agent: Agent, url: string, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const look = AbortSignal.any([signal, AbortSignal.timeout(LOOK_TIMEOUT_MS)]);
    const sent = request(new URL(GENERATION_PATH, url), { agent, signal: look }, (response) => {
      response.resume();
      response.on('error', reject);
      const generation = Number(response.headers[GENERATION_HEADER]);
      if (response.statusCode === 200 && Number.isSafeInteger(generation)) resolve(generation);
      else reject(new Error(`it answered ${response.statusCode} without a generation`));
    });
    sent.on('error', (error) => reject(look.aborted ? new Error(`no answer in ${LOOK_TIMEOUT_MS} ms`) : error));
    sent.end();
  });
}
