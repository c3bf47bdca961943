import type { DaemonState } from '../../activities/node-ports.ts';
import { createWakeUp } from '../../activities/wake-up.ts';
import type { ControlClient, Introduction } from '../../adapters/control-client/control-client.ts';
import type { Log } from '../../adapters/logging/log.ts';
import { isDomainError } from '../../domain/errors.ts';

/** The lease of a node lasts 15 s: three signs of life may go missing. */
const EVERY_MS = 3_000;

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 10_000;

/** What keeping a node enrolled needs from the world. */
export interface EnrolmentPorts {
  readonly control: Pick<ControlClient, 'enrol' | 'heartbeat'>;
  /** Who this node is; fails while Docker is away, which is then tried again. */
  introduce(): Promise<Introduction>;
  docker(): DaemonState;
  /** Told of the control plane's public keys, whenever they come. */
  keepControlJwks(jwks: string): Promise<void>;
  readonly log: Log;
}

/** The enrolment of this node. */
export interface Enrolment {
  /** Enrols, and renews the lease until aborted; enrols again when the control plane no longer knows the node. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the node was enrolled for the first time. */
  readonly enrolled: Promise<void>;
}

/** Creates the enrolment. It is tried for ever, with growing and scattered pauses: nodes outlive the control plane. */
export function createEnrolment({ control, introduce, docker, keepControlJwks, log }: EnrolmentPorts): Enrolment {
  const first = Promise.withResolvers<void>();

  const enrol = async (): Promise<void> => {
    await keepControlJwks(await control.enrol(await introduce()));
    first.resolve();
    log.info('enrolled');
  };

  const renew = async (): Promise<void> => {
    const { state, reason } = docker();
    await keepControlJwks(await control.heartbeat({ healthy: state === 'ready', reason }));
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    const pause = createWakeUp();
    let isEnrolled = false;
    for (let retryMs = FIRST_RETRY_MS; !signal.aborted; ) {
      try {
        await (isEnrolled ? renew() : enrol());
        isEnrolled = true;
        retryMs = FIRST_RETRY_MS;
        await pause.wait(EVERY_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ err: error }, isEnrolled ? 'the lease is not renewed' : 'not enrolled yet');
        if (isForgotten(error)) isEnrolled = false;
        await pause.wait(retryMs * (0.5 + Math.random()), signal).catch(() => undefined);
        retryMs = Math.min(2 * retryMs, isEnrolled ? EVERY_MS : LONGEST_RETRY_MS);
      }
    }
  };

  return { run, enrolled: first.promise };
}

function isForgotten(error: unknown): boolean {
  return isDomainError(error) && ['UNAUTHENTICATED', 'NOT_FOUND', 'PERMISSION_DENIED'].includes(error.code);
}
