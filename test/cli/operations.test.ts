import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UpdateDeploymentRequestSchema } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { startFakePlatform } from './fake-platform.ts';
import { runCommand } from './run-command.ts';

let platform: Awaited<ReturnType<typeof startFakePlatform>>;

beforeEach(async () => {
  platform = await startFakePlatform();
  await obiente('deploy', '--image', 'nginx:1', '--name', 'web', '--port', '80');
});
afterEach(() => platform.stop());

const obiente = (...args: string[]) => runCommand(args, { url: platform.url });

describe('operations of a deployment', () => {
  it('are asked for with their reason, and waited for', async () => {
    const scaled = await obiente('scale', 'web', '3', '-m', 'more visitors');
    expect(scaled).toMatchObject({ exitCode: 0, stdout: 'web runs with 3 replicas\n' });
    expect(scaled.stderr).toMatch(/done\n$/);
    const [call] = platform.callsOf('ScaleDeployment');
    expect(call?.request).toMatchObject({ replicas: 3, reason: 'more visitors', supersedeRunning: false });
    expect((await obiente('restart', 'web', '--supersede')).stdout).toBe('restarted web\n');
    expect(platform.callsOf('RestartDeployment')[0]?.request).toMatchObject({ supersedeRunning: true });
    expect((await obiente('move', 'web', '--to', 'node-b')).stdout).toBe('moved web to node-b\n');
    expect(platform.callsOf('MoveDeployment')[0]?.request).toMatchObject({ toNodeId: 'node-b' });
    expect((await obiente('rollback', 'web', '1')).stdout).toBe('rolled web back\n');
    expect(platform.callsOf('RollbackDeployment')[0]?.request).toMatchObject({ toRevision: 1 });
  });

  it('answer at once without waiting, with where to look', async () => {
    platform.behaviour.hangs = true;
    const result = await obiente('restart', 'web', '--no-wait');
    expect(result.stdout).toMatch(/^asked; follow it with "obiente operation [0-9a-f-]{36}"\n$/);
    const json = (await obiente('restart', 'web', '--no-wait', '--json')).json();
    expect(json).toMatchObject({ kind: 'OPERATION_KIND_RESTART', state: 'OPERATION_STATE_RUNNING' });
  });

  it('that fail end the command with their reason', async () => {
    platform.behaviour.failure = { code: 'REPLICA_UNHEALTHY', message: 'r1-1 never listened', hint: 'Mend it.' };
    const result = await obiente('restart', 'web');
    expect(result).toMatchObject({ exitCode: 1 });
    expect(result.stderr).toContain('REPLICA_UNHEALTHY: r1-1 never listened');
  });

  it.each([
    ['scale', 'web', 'many'],
    ['scale', 'web', '10001'],
    ['rollback', 'web', '0'],
  ])('are refused before anything is asked: %s %s %s', async (...args) => {
    expect((await obiente(...args)).exitCode).toBe(3);
    expect(platform.callsOf('ScaleDeployment')).toEqual([]);
  });
});

describe('obiente update', () => {
  it('sends what is named, under a mask, and nothing else', async () => {
    const result = await obiente('update', 'web', '--memory', '64MiB', '-e', 'A=1', '--unset-env', 'B', '--no-port');
    expect(result).toMatchObject({ exitCode: 0, stdout: 'updated web\n' });
    const [request] = platform.requestsOf('UpdateDeployment', UpdateDeploymentRequestSchema);
    expect(request).toMatchObject({
      updateMask: { paths: ['port', 'limits'] },
      spec: { limits: { memoryBytes: 67_108_864n } },
      setEnvironment: [{ name: 'A', value: '1' }],
      unsetEnvironment: ['B'],
    });
    expect(request?.spec?.port).toBeUndefined();
  });

  it('refuses to change nothing', async () => {
    const result = await obiente('update', 'web');
    expect(result.exitCode).toBe(3);
    expect(result.stderr).toContain('there is nothing to change');
    expect(platform.callsOf('UpdateDeployment')).toEqual([]);
  });
});

describe('what was done', () => {
  it('is listed, shown step by step, and compared', async () => {
    await obiente('scale', 'web', '2');
    const history = await obiente('history', 'web');
    expect(history.stdout).toMatch(/OPERATION .*KIND .*STATE/);
    expect(history.stdout).toMatch(/scale app to 2 +succeeded/);
    const [newest] = (await obiente('history', 'web', '--json')).json() as { id: string }[];
    const operation = await obiente('operation', newest?.id ?? '');
    expect(operation.stdout).toMatch(/kind +scale app to 2/);
    expect(operation.stdout).toContain('replica r1-0 is healthy');
    const diff = await obiente('diff', 'web', '1', '1');
    expect(diff.stdout).toBe('revisions 1 and 1 want the same\n');
  });

  it('can be cancelled while it goes on, by the name of the deployment', async () => {
    platform.behaviour.hangs = true;
    await obiente('restart', 'web', '--no-wait');
    const result = await obiente('cancel', 'web');
    expect(result.stdout).toMatch(/^cancel: restart [0-9a-f-]{36} is running\n$/);
    expect(platform.callsOf('CancelOperation')).toHaveLength(1);
  });

  it('cannot be cancelled when nothing is under way', async () => {
    const result = await obiente('cancel', 'web');
    expect(result.exitCode).toBe(3);
    expect(result.stderr).toContain('nothing is under way on web');
  });
});
