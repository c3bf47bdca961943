import { readdirSync, readFileSync } from 'node:fs';

/** The kernel counts in hundredths of a second. */
const MS_PER_TICK = 10;

/** CPU that these processes have used so far, milliseconds; one that has gone counts for nothing. */
export function cpuMsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
}

function cpuMs(pid: number): number {
  try {
    // utime and stime are the 14th and 15th field.
    const fields = fieldsOf(pid);
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
  } catch {
    return 0;
  }
}

/** From the third field on: the name before them may hold anything, in parentheses. */
function fieldsOf(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Memory of a process that is not on a disk as well, and of the files that it has mapped: bytes. */
export function rssBytesOf(pid: number): number {
  const [, kib = '0'] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/** Where the machine's own Docker Engine writes its pid. */
const PID_FILE = '/var/run/docker.pid';

/** The processes of the machine's own Docker Engine: its daemon, and the containerd that this one or the system started. */
export function dockerPids(): number[] {
  const daemon = Number(readFileSync(PID_FILE, 'utf8'));
  const containerds = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => nameOf(pid) === 'containerd' && [1, daemon].includes(parentOf(pid)));
  return [daemon, ...containerds];
}

function parentOf(pid: number): number {
  return Number(fieldsOf(pid)[1]);
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    // It has ended meanwhile.
    return '';
  }
}
