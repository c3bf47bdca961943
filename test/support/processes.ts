import { readdirSync, readFileSync } from 'node:fs';

/** One process of this machine. */
export interface SeenProcess {
  readonly pid: number;
  readonly commandLine: string;
  readonly environment: string;
}

/** Looks at all processes that this user may look into, but not at this one; those that end meanwhile are left out. */
export function seeProcesses(): readonly SeenProcess[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids.flatMap((pid) => {
    try {
      const [commandLine = '', environment = ''] = ['cmdline', 'environ'].map((file) =>
        readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' '),
      );
      return [{ pid: Number(pid), commandLine, environment }];
    } catch {
      // It has ended, or belongs to somebody else.
      return [];
    }
  });
}

/** Processes that work in a folder, by what their environment says of it. */
export function processesIn(folder: string): readonly SeenProcess[] {
  return seeProcesses().filter(({ environment }) => environment.includes(folder));
}
