import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DrainState } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { startFakePlatform } from './fake-platform.ts';
import { runCommand } from './run-command.ts';

let platform: Awaited<ReturnType<typeof startFakePlatform>>;

beforeEach(async () => {
  platform = await startFakePlatform();
});
afterEach(() => platform.stop());

const drain = (...args: string[]) => runCommand(['node', 'drain', 'n1', ...args], { url: platform.url });

const SHOP = { deploymentId: '00000000-0000-4000-8000-000000000001', name: 'shop', replicas: 2 };

describe('obiente node drain', () => {
  it('follows it to its end, and says what has left', async () => {
    platform.behaviour.drained = { moved: 9, state: DrainState.DONE };
    const { exitCode, stdout } = await drain('--at-once', '4', '-m', 'a new disk');
    expect([exitCode, stdout]).toEqual([0, 'emptied n1: 9 deployments moved, 0 left\n']);
    expect(platform.callsOf('DrainNode')[0]?.request).toMatchObject({ nodeId: 'n1', atOnce: 4, reason: 'a new disk' });
    expect((await drain('--json')).json()).toMatchObject({ state: 'DRAIN_STATE_DONE', moved: 9 });
  });

  it('names what stays and why, and ends with an error', async () => {
    const left = [{ ...SHOP, why: 'its volumes are there' }];
    platform.behaviour.drained = { moved: 1, left, state: DrainState.DONE };
    const { exitCode, stdout, stderr } = await drain();
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      /^emptied n1: 1 deployment moved, 1 left\nDEPLOYMENT +REPLICAS +WHY IT STAYS\nshop +2 +its volumes are there/,
    );
    expect(stderr).toContain('n1 is not empty: 1 deployment left');
  });

  it('returns as soon as it has begun, where nobody waits', async () => {
    platform.behaviour.drained = { left: [{ ...SHOP, why: '' }], state: DrainState.DONE };
    expect(await drain('--no-wait')).toMatchObject({
      exitCode: 0,
      stdout: 'emptying n1: 0 deployments moved, 1 left\n',
    });
  });

  it('refuses a number of deployments at once that is none', async () => {
    expect(await drain('--at-once', '51')).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining('allowed are whole numbers from 1 to 50'),
    });
  });
});
