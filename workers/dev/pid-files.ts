import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { identifyProcess, untilGone } from './process-identity.ts';

const recordShape = z.object({
  name: z.string(),
  pid: z.number().int().min(2),
  identity: z.string(),
  stopSignal: z.enum(['SIGTERM', 'SIGINT']),
  stopGraceMs: z.number().int().min(0),
});

/** A child process, so that a later supervisor finds it. */
export type ProcessRecord = z.infer<typeof recordShape>;

/** After SIGKILL a process is gone as soon as the kernel has cleaned up. */
const KILL_WAIT_MS = 5_000;

function fileOf(runDir: string, name: string): string {
  return join(runDir, `${name}.json`);
}

/** Notes a child, right after its start and synchronously: a supervisor that is killed now leaves nothing unknown. */
export function recordProcess(runDir: string, record: Omit<ProcessRecord, 'identity'>): void {
  const identity = identifyProcess(record.pid);
  if (identity === undefined) return;
  writeFileSync(fileOf(runDir, record.name), JSON.stringify({ ...record, identity }), { mode: 0o600 });
}

/** Forgets a child that has ended. */
export function forgetProcess(runDir: string, name: string): void {
  rmSync(fileOf(runDir, name), { force: true });
}

/** Children of an earlier supervisor that still run; notes of those that do not are removed. */
export function findStaleProcesses(runDir: string): ProcessRecord[] {
  return readdirSync(runDir)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => {
      const record = parseRecord(readFileSync(join(runDir, file), 'utf8'));
      if (record && identifyProcess(record.pid) === record.identity) return [record];
      rmSync(join(runDir, file), { force: true });
      return [];
    });
}

/** A note that was cut while it was written is no note. */
function parseRecord(text: string): ProcessRecord | undefined {
  try {
    return recordShape.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/**
 * Ends what an earlier supervisor left running, each in its own way and by force after its grace.
 *
 * One after another, since the order given is the order of a stop. A pid that belongs to another process by now is
 * left alone.
 */
export async function endStaleProcesses(runDir: string, records: readonly ProcessRecord[]): Promise<void> {
  for (const { name, pid, identity, stopSignal, stopGraceMs } of records) {
    signalIfSame(pid, identity, stopSignal);
    const isGone = await untilGone(pid, identity, stopGraceMs);
    if (!isGone) {
      signalIfSame(pid, identity, 'SIGKILL');
      await untilGone(pid, identity, KILL_WAIT_MS);
    }
    forgetProcess(runDir, name);
  }
}

function signalIfSame(pid: number, identity: string, signal: NodeJS.Signals): void {
  if (identifyProcess(pid) !== identity) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It ended between the look and the signal.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
