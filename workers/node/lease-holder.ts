import { randomUUID } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type LeaseHolder, readLeaseHolder, writeLeaseHolder } from '../../adapters/node-files/lease-holder-file.ts';
import { DomainError } from '../../domain/errors.ts';
import { identifyProcess } from '../dev/process-identity.ts';

/** This process as one that takes the lease of its node, and what it knows of the one before it. */
export interface LeaseHolding {
  /** Id of this process. */
  readonly holder: string;
  /** The process that took the lease last, if it is surely gone; else empty. */
  replaces(): string;
  /** Whether no other process that may still run on this host has taken the lease since this one had it. */
  isOnlyHere(): boolean;
  /** Says that this process has taken the lease. */
  keep(): Promise<void>;
}

/**
 * Creates it. A process that was killed cannot give its lease back, and the one after it would have to wait until it has
 * run out. So each says on the node's disk which one it is, and the next one looks: of the same boot of the same kernel, in
 * the same space of process ids, a process that is not there is gone. Whatever runs elsewhere is never found gone.
 */
export function createLeaseHolding(dir: string): LeaseHolding {
  const path = join(dir, 'lease-holder.json');
  const holder = randomUUID();
  const pidNamespace = readlinkSync('/proc/self/ns/pid');
  const own = identifyProcess(process.pid);
  const isOfThisBoot = (last: LeaseHolder): boolean => bootOf(last.process) === bootOf(own ?? '');
  const isSeenGone = (last: LeaseHolder): boolean =>
    last.pidNamespace === pidNamespace && identifyProcess(last.pid) !== last.process;
  return {
    holder,
    replaces: () => {
      const last = readLeaseHolder(path);
      return last && isOfThisBoot(last) && isSeenGone(last) ? last.holder : '';
    },
    isOnlyHere: () => {
      const last = readLeaseHolder(path);
      // One of another boot has ended with it, or runs on another host with a copy of this folder, on its own daemon.
      return !last || last.holder === holder || !isOfThisBoot(last) || isSeenGone(last);
    },
    keep: async () => {
      if (!own) throw new DomainError('INTERNAL', 'this process cannot be found in /proc');
      await writeLeaseHolder(path, { holder, pid: process.pid, process: own, pidNamespace });
    },
  };
}

function bootOf(identity: string): string {
  return identity.slice(0, identity.lastIndexOf(':'));
}
