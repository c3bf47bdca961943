import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunRetentionRequestSchema } from '../../gen/obiente/cloud/v1/retention_pb.ts';
import { startFakePlatform } from './fake-platform.ts';
import { runCommand } from './run-command.ts';

let platform: Awaited<ReturnType<typeof startFakePlatform>>;

beforeEach(async () => {
  platform = await startFakePlatform();
});
afterEach(() => platform.stop());

const obiente = (...args: string[]) => runCommand(args, { url: platform.url });

describe('obiente retention', () => {
  it('runs, waits for the end however long that is, and shows what went, what it freed and what stays', async () => {
    platform.behaviour.retention.waits = 3;
    const ran = await obiente('retention', 'run');
    expect(ran).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/^run \S+ began\n$/) });
    expect(ran.stdout).toMatch(/^WHAT +NODE +REMOVED +FREED +STAYS\n/);
    expect(ran.stdout).toMatch(/\nrevisions +- +3 +12\.0 KiB +-\n/);
    expect(ran.stdout).toMatch(/\nimages +n1 +2 +unknown +4 needed by a revision that stays; 1 used\n/);
    expect(ran.stdout).toMatch(/\ncontainer +n1 +c{12} +obiente-x-r1-0 +spared: a record has come for it\n/);
    expect(ran.stdout).toMatch(/\nfreed at least 12\.0 KiB\n$/);
    expect(platform.callsOf('GetRetentionRun')).toHaveLength(4);
    const status = await obiente('retention');
    expect(status.stdout).toMatch(/^RUN .*ASKED BY\n\S+ +run +all +succeeded .*schedule\n\nWHAT /);
  });

  it('counts only when it is asked to, and says so', async () => {
    const ran = await obiente('retention', 'run', '--dry-run', '--idempotency-key', 'key-12345678');
    expect(ran.stdout).toMatch(/WOULD GO +WOULD FREE/);
    expect(ran.stdout).toMatch(/a run would free at least 12\.0 KiB\n$/);
    const [request] = platform.requestsOf('RunRetention', RunRetentionRequestSchema);
    expect(request).toMatchObject({ dryRun: true, idempotencyKey: 'key-12345678' });
    const asJson = await obiente('retention', 'run', '--dry-run', '--json');
    expect(asJson.json()).toMatchObject({
      dryRun: true,
      items: [{ kind: 'revisions', count: '3', bytes: '12288' }, {}, {}, {}],
    });
  });

  it('runs for one node, and tells that run from one of everything', async () => {
    await obiente('retention', 'run', '--node', 'n1');
    expect(platform.requestsOf('RunRetention', RunRetentionRequestSchema)[0]).toMatchObject({ nodeId: 'n1' });
    const { stdout } = await obiente('retention');
    expect(stdout).toMatch(/\n\S+ +run +n1 +succeeded .*disk guard\n/);
  });

  it('ends with 1 when not all was done, after the report', async () => {
    platform.behaviour.retention.error = 'nodes: internal error';
    const ran = await obiente('retention', 'run');
    expect(ran.exitCode).toBe(1);
    expect(ran.stdout).toContain('but not all was done: nodes: internal error\n');
  });

  it('says when somebody else has begun it, and need not be waited for', async () => {
    platform.behaviour.retention.attended = true;
    const ran = await obiente('retention', 'run', '--no-wait', '--json');
    expect(ran).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('is under way already') });
    expect(ran.json()).toMatchObject({ state: 'RETENTION_STATE_RUNNING' });
    expect(platform.callsOf('GetRetentionRun')).toEqual([]);
  });

  it('shows that there was none yet', async () => {
    expect((await obiente('retention', 'status')).stdout).toBe('retention has not run yet\n');
  });
});
