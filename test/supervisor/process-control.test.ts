import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ProcessGroup, startGroup } from '../../workers/dev/process-group.ts';
import { createProcessControl, type ProcessControl } from '../faults/process-control.ts';
import { eventually } from '../support/eventually.ts';

const CHILD = join(import.meta.dirname, 'child.ts');

describe('control of single processes', { timeout: 60_000 }, () => {
  let folder: string;
  let group: ProcessGroup;
  let control: ProcessControl;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'obiente-control-'));
    for (const name of ['run', 'logs']) mkdirSync(join(folder, name));
    control = createProcessControl();
    const member = { command: process.execPath, args: [CHILD, 'ready'], env: {}, cwd: folder, after: [] };
    const ways = { readiness: { kind: 'message' }, stopSignal: 'SIGTERM', stopGraceMs: 10_000 } as const;
    group = await startGroup(
      ['one', 'other'].map((name) => ({ ...member, ...ways, name })),
      {
        runDir: join(folder, 'run'),
        logsDir: join(folder, 'logs'),
        onEvent: control.onEvent,
        timing: { firstDelayMs: 1, longestDelayMs: 1, soundAfterMs: 0 },
      },
    );
    control.attach(group.processes);
  });

  afterEach(async () => {
    await group.stop();
    await rm(folder, { recursive: true });
  });

  it('kills the one that is named, and tells when the supervisor has it back', async () => {
    const other = control.pidOf('other');
    const { pid, restarted } = control.kill('one');
    expect(await restarted).toBeGreaterThan(0);
    expect(control.pidOf('one')).not.toBe(pid);
    expect(control.pidOf('other')).toBe(other);
    expect(control.lastKilledAt('one')).toBeGreaterThan(0);
    expect(control.lastKilledAt('other')).toBe(0);
  });

  it('does not take one for ready that was killed a moment ago', async () => {
    const { pid } = control.kill('one');
    await control.untilReady('one');
    expect(control.pidOf('one')).not.toBe(pid);
  });

  it('halts a process where it stands, and lets it go on', async () => {
    const pid = control.pidOf('one');
    control.freeze('one');
    await eventually(() => expect(stateOf(pid)).toBe('T'));
    control.thaw('one');
    await eventually(() => expect(stateOf(pid)).not.toBe('T'));
    expect(control.pidOf('one')).toBe(pid);
  });
});

/** The letter of proc(5): `T` is stopped by a signal. */
function stateOf(pid: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[0];
}
