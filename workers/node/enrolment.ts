import type { DaemonState } from '../../activities/node-ports.ts';
import { createWakeUp } from '../../activities/wake-up.ts';
import type { ControlClient, GrantedLease, Introduction } from '../../adapters/control-client/control-client.ts';
import type { Log } from '../../adapters/logging/log.ts';
import { isDomainError } from '../../domain/errors.ts';
import { LEASE_TIMING } from '../../domain/node-lease.ts';
import type { NodeLease } from './lease.ts';
import type { LeaseHolding } from './lease-holder.ts';

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 10_000;

/** What keeping a node enrolled needs from the world. */
export interface EnrolmentPorts {
  readonly control: Pick<ControlClient, 'enrol' | 'heartbeat' | 'releaseLease'>;
  /** Who this node is; fails while Docker is away, which is then tried again. */
  introduce(): Promise<Omit<Introduction, 'holder' | 'replaces'>>;
  /** Whether it would introduce itself otherwise now. */
  isOutdated(): boolean;
  docker(): DaemonState;
  readonly lease: Pick<NodeLease, 'now' | 'epoch' | 'granted' | 'ended' | 'refused'>;
  readonly holding: Pick<LeaseHolding, 'holder' | 'replaces' | 'keep'>;
  /** Told of each enrolment: whatever else was out of reach may be reached again. */
  enrolledAnew(): void;
  /** Told of the control plane's public keys, whenever they come. */
  keepControlJwks(jwks: string): Promise<void>;
  readonly log: Log;
}

/** The enrolment of this node. */
export interface Enrolment {
  /**
   * Enrols, which takes the lease, and renews it until aborted; enrols again when another process has it, and when the
   * control plane no longer knows the node. At its end it gives the lease back.
   */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the node was enrolled for the first time. */
  readonly enrolled: Promise<void>;
}

/** Creates the enrolment. It is tried for ever, with growing and scattered pauses: nodes outlive the control plane. */
export function createEnrolment(ports: EnrolmentPorts): Enrolment {
  const { control, introduce, isOutdated, docker, lease, holding, enrolledAnew, keepControlJwks, log } = ports;
  const first = Promise.withResolvers<void>();

  const enrol = async (): Promise<void> => {
    const introduction = { ...(await introduce()), holder: holding.holder, replaces: holding.replaces() };
    const sentAtMs = lease.now();
    const granted = await control.enrol(introduction);
    await holding.keep();
    await takeOver(granted, sentAtMs, granted.epoch);
    first.resolve();
    enrolledAnew();
    log.info({ epoch: granted.epoch }, 'enrolled');
  };

  const renew = async (): Promise<void> => {
    const { state, reason } = docker();
    const sentAtMs = lease.now();
    await takeOver(await control.heartbeat({ healthy: state === 'ready', reason }), sentAtMs, lease.epoch());
  };

  const takeOver = async ({ controlJwks, leaseMs }: GrantedLease, sentAtMs: number, epoch: number): Promise<void> => {
    lease.granted({ epoch, sentAtMs, leaseMs });
    await keepControlJwks(controlJwks);
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    const pause = createWakeUp();
    let isEnrolled = false;
    for (let retryMs = FIRST_RETRY_MS; !signal.aborted; ) {
      try {
        await (isEnrolled && !isOutdated() ? renew() : enrol());
        isEnrolled = true;
        retryMs = FIRST_RETRY_MS;
        await pause.wait(LEASE_TIMING.renewEveryMs, signal);
      } catch (error) {
        if (signal.aborted) break;
        log.warn({ err: error }, isEnrolled ? 'the lease is not renewed' : 'not enrolled yet');
        if (isForgotten(error)) {
          // A lease that has run out is mostly free to be taken again: only who cannot have it stops working.
          if (isEnrolled) lease.ended();
          else lease.refused();
          isEnrolled = false;
        }
        await pause.wait(retryMs * (0.5 + Math.random()), signal).catch(() => undefined);
        retryMs = Math.min(2 * retryMs, isEnrolled || isTaken(error) ? LEASE_TIMING.renewEveryMs : LONGEST_RETRY_MS);
      }
    }
    lease.refused();
    // Not given back it runs out, or the next process on this host finds this one gone.
    if (isEnrolled) await control.releaseLease().catch(() => undefined);
  };

  return { run, enrolled: first.promise };
}

function isForgotten(error: unknown): boolean {
  return isTaken(error) || isOneOf(error, ['UNAUTHENTICATED', 'NOT_FOUND', 'PERMISSION_DENIED']);
}

/** Another process of this node has the lease, or the lease has ended: the next try may find it free. */
function isTaken(error: unknown): boolean {
  return isOneOf(error, ['NODE_LEASE_LOST']);
}

function isOneOf(error: unknown, codes: readonly string[]): boolean {
  return isDomainError(error) && codes.includes(error.code);
}
