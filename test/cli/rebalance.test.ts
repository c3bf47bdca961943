import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PlanRebalanceRequestSchema } from '../../gen/obiente/cloud/v1/placement_pb.ts';
import { startFakePlatform } from './fake-platform.ts';
import { runCommand } from './run-command.ts';

let platform: Awaited<ReturnType<typeof startFakePlatform>>;

beforeEach(async () => {
  platform = await startFakePlatform();
});
afterEach(() => platform.stop());

const rebalance = (...args: string[]) => runCommand(['rebalance', ...args], { url: platform.url });

const MOVE = { deploymentId: '00000000-0000-4000-8000-000000000001', name: 'shop', fromNodeId: 'n1', toNodeId: 'n2' };

describe('obiente rebalance', () => {
  it('shows shares before and after, and the moves by name', async () => {
    platform.behaviour.rebalance = {
      moves: [
        { ...MOVE, replicas: 2, whole: false, why: 'n1 is 80 % full and n2 10 %, then 60 % and 30 %' },
        { ...MOVE, name: 'wiki', replicas: 3, whole: true, why: 'n1 is 60 % full and n2 30 %, then 50 % and 40 %' },
      ],
      nodes: [
        { nodeId: 'n1', before: 0.8, after: 0.5 },
        { nodeId: 'n2', before: 0.1, after: 0.4 },
      ],
      ...{ readyNodes: 3, before: { emptiest: 0.1, fullest: 0.8 }, after: { emptiest: 0.4, fullest: 0.5 }, more: true },
    };
    const { exitCode, stdout } = await rebalance('--plan', '--max-moves', '2');
    expect(exitCode).toBe(0);
    expect(stdout.split('\n').map((line) => line.trimEnd().replace(/ {2,}/g, '  '))).toEqual([
      'NODE  NOW  AFTER',
      expect.stringMatching(/^n1 +80 % +50 %$/),
      expect.stringMatching(/^n2 +10 % +40 %$/),
      '',
      'DEPLOYMENT  REPLICAS  FROM  TO  WHY',
      expect.stringMatching(/^shop +2 +n1 +n2 +n1 is 80 % full and n2 10 %, then 60 % and 30 %$/),
      expect.stringMatching(/^wiki +all 3 +n1 +n2 +n1 is 60 %/),
      '',
      '2 moves: 3 ready nodes, 10 % to 80 % full, then 40 % to 50 %; there may be more to move after these',
      '',
    ]);
    expect(platform.requestsOf('PlanRebalance', PlanRebalanceRequestSchema)).toMatchObject([{ maxMoves: 2 }]);
    expect((await runCommand(['rebalance', '--plan', '--json'], { url: platform.url })).json()).toMatchObject({
      moves: [{ name: 'shop' }, { name: 'wiki', whole: true }],
      more: true,
    });
  });

  it('says that there is nothing to move', async () => {
    const even = { emptiest: 0.31, fullest: 0.33 };
    platform.behaviour.rebalance = { readyNodes: 1, before: even, after: even };
    expect(await rebalance('--plan')).toMatchObject({
      exitCode: 0,
      stdout: 'nothing to move: 1 ready node, 31 % to 33 % full\n',
    });
  });

  it('refuses moves without bounds', async () => {
    expect(await rebalance('--plan', '--max-moves', '201')).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining('allowed are whole numbers from 1 to 200'),
    });
    expect(platform.callsOf('PlanRebalance')).toEqual([]);
  });

  it('carries the plan out, and follows it to its end', async () => {
    platform.behaviour.rebalance = { moves: [{ ...MOVE, replicas: 1, why: 'fuller' }], readyNodes: 2 };
    platform.behaviour.rebalanced = { planned: 1, ended: 1, moved: 1 };
    expect(await rebalance()).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('1 of 1 moves reached their goal\n'),
    });
    expect(await rebalance('--no-wait')).toMatchObject({
      stdout: expect.stringContaining('1 of 1 moves have ended\n'),
    });
    expect(await rebalance('--stop')).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^stopped: 1 of 1/) });
  });

  it('ends with an error when not every move reached its goal', async () => {
    platform.behaviour.rebalance = { moves: [{ ...MOVE, replicas: 1, why: 'fuller' }], readyNodes: 2 };
    platform.behaviour.rebalanced = { planned: 2, ended: 2, moved: 1 };
    const { exitCode, stderr } = await rebalance();
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('1 of 2 moves did not reach their goal');
  });

  it('begins nothing where there is nothing to move', async () => {
    const even = { emptiest: 0.31, fullest: 0.33 };
    platform.behaviour.rebalance = { readyNodes: 1, before: even, after: even };
    expect(await rebalance()).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^nothing to move/) });
  });
});
