import type { ProcessEvent, SupervisedProcess } from '../../workers/dev/supervised-process.ts';

/** A process that was killed. */
export interface Killed {
  readonly pid: number;
  /** Resolves when the supervisor has it ready again, with the milliseconds since the kill. */
  readonly restarted: Promise<number>;
}

/** Ends and halts single processes of a platform, each by its own id. The supervisor starts again what ended. */
export interface ProcessControl {
  /** To be told what happens to the processes. */
  onEvent(event: ProcessEvent): void;
  /** To be given the processes once they have been started. */
  attach(processes: readonly SupervisedProcess[]): void;
  pidOf(name: string): number;
  /** Ends a process as `kill -9` does. */
  kill(name: string): Killed;
  /** When it was last killed, milliseconds since 1970; 0 when it never was. */
  lastKilledAt(name: string): number;
  /** Halts a process where it stands (SIGSTOP); it keeps its connections and answers nothing. */
  freeze(name: string): void;
  /** Lets a halted process go on (SIGCONT). */
  thaw(name: string): void;
  /** Resolves when the process is ready, at once when it is. */
  untilReady(name: string): Promise<void>;
}

/** Creates the control of one platform's processes. */
export function createProcessControl(): ProcessControl {
  const known = new Map<string, SupervisedProcess>();
  const killed = new Map<string, { readonly atMs: number; readonly starts: number }>();
  const waiting = new Set<{ readonly name: string; readonly starts: number; readonly resolve: () => void }>();

  const find = (name: string): SupervisedProcess => {
    const found = known.get(name);
    if (!found) throw new Error(`this platform has no process ${name}`);
    return found;
  };
  const pidOf = (name: string): number => {
    const pid = find(name).pid();
    if (pid === undefined) throw new Error(`${name} does not run`);
    return pid;
  };
  /** Resolves when the process has become ready more often than this. */
  const untilStarted = async (name: string, starts: number): Promise<void> => {
    if (find(name).starts() > starts) return;
    await new Promise<void>((resolve) => waiting.add({ name, starts, resolve }));
  };

  return {
    onEvent: (event) => {
      if (event.kind !== 'ready') return;
      for (const waiter of waiting) {
        if (waiter.name !== event.name || event.starts <= waiter.starts) continue;
        waiting.delete(waiter);
        waiter.resolve();
      }
    },
    attach: (processes) => {
      for (const process of processes) known.set(process.name, process);
    },
    pidOf,
    kill: (name) => {
      const pid = pidOf(name);
      const process = find(name);
      const sentAt = performance.now();
      const before = process.starts();
      const restarted = untilStarted(name, before).then(() => performance.now() - sentAt);
      process.kill('SIGKILL');
      killed.set(name, { atMs: Date.now(), starts: before });
      return { pid, restarted };
    },
    lastKilledAt: (name) => killed.get(name)?.atMs ?? 0,
    freeze: (name) => find(name).kill('SIGSTOP'),
    thaw: (name) => find(name).kill('SIGCONT'),
    untilReady: async (name) => {
      const process = find(name);
      // One that was just killed may look ready for a moment.
      await untilStarted(name, killed.get(name)?.starts ?? 0);
      if (!process.isReady()) await untilStarted(name, process.starts());
    },
  };
}
