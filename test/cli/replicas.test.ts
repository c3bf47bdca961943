import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ReplicaState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { NodeState } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import {
  ListReplicasRequestSchema,
  type LocatedReplicaSchema,
  WatchReplicasRequestSchema,
} from '../../gen/obiente/cloud/v1/replicas_pb.ts';
import { ORGANIZATION_ID, startFakePlatform } from './fake-platform.ts';
import { runCommand } from './run-command.ts';

let platform: Awaited<ReturnType<typeof startFakePlatform>>;

beforeEach(async () => {
  platform = await startFakePlatform();
  platform.behaviour.replicas = [aReplica()];
});
afterEach(() => platform.stop());

const obiente = (...args: string[]) => runCommand(args, { url: platform.url });

const DEPLOYMENT_ID = '22222222-2222-4222-8222-222222222222';

function aReplica(state: ReplicaState = ReplicaState.HEALTHY): MessageInitShape<typeof LocatedReplicaSchema> {
  return {
    ...{ deploymentId: DEPLOYMENT_ID, deploymentName: 'shop', organizationId: ORGANIZATION_ID, serving: true },
    replica: { id: 'r1-0', service: 'app', state, address: '10.0.0.7:32768', containerId: 'c0ffee'.padEnd(64, '0') },
    node: { id: 'node-0000000a', state: NodeState.READY },
  };
}

describe('obiente replicas', () => {
  it('shows where replicas are, and asks for what is named', async () => {
    const shown = await obiente(
      'replicas',
      '--node',
      'node-0000000a',
      '--domain',
      'shop.localhost',
      '--state',
      'healthy',
    );
    expect(shown).toMatchObject({ exitCode: 0, stderr: '' });
    expect(shown.stdout).toMatch(
      /^DEPLOYMENT +REPLICA +SERVICE +STATE +FOR +SERVING +NODE +NODE IS +ADDRESS +CONTAINER\n/,
    );
    expect(shown.stdout).toMatch(
      /\nshop +r1-0 +app +healthy +yes +node-0000000a +ready +10\.0\.0\.7:32768 +c0ffee000000\n$/,
    );
    expect(platform.requestsOf('ListReplicas', ListReplicasRequestSchema)).toMatchObject([
      {
        ...{ organizationId: ORGANIZATION_ID, deploymentId: '', nodeId: 'node-0000000a' },
        ...{ hostname: 'shop.localhost', state: ReplicaState.HEALTHY },
      },
    ]);
  });

  it('names no organization where an operator asks for everything', async () => {
    const shown = await obiente('replicas', '--everywhere', '--json');
    expect(shown.json()).toMatchObject([{ deploymentName: 'shop', node: { state: 'NODE_STATE_READY' } }]);
    expect(platform.requestsOf('ListReplicas', ListReplicasRequestSchema)).toMatchObject([{ organizationId: '' }]);
  });

  it('refuses a state that is none, and says which there are', async () => {
    const refused = await obiente('replicas', '--state', 'fine');
    expect(refused).toMatchObject({ exitCode: 3 });
    expect(refused.stderr).toContain('allowed is starting, healthy, unhealthy, exited, removing');
  });

  it('says that nothing matches', async () => {
    platform.behaviour.replicas = [];
    expect((await obiente('replicas')).stdout).toBe('no replicas\n');
  });

  it('goes on with --watch, a line a change, over a connection that breaks', async () => {
    platform.behaviour.replicaChanges = [
      { replicas: [aReplica()], complete: true },
      { complete: true },
      { replicas: [aReplica(ReplicaState.EXITED)], complete: true },
      { removed: [{ deploymentId: DEPLOYMENT_ID, replicaId: 'r1-0' }], complete: true },
    ];
    let breaks = 1;
    platform.behaviour.beforeMessage = (sent) => {
      if (sent !== 3 || breaks === 0) return;
      breaks -= 1;
      throw new ConnectError('restarting', Code.Unavailable);
    };
    const watched = await obiente('replicas', '--watch');
    const healthy = 'shop r1-0 healthy on node-0000000a at 10.0.0.7:32768 in c0ffee000000';
    expect(watched.stdout.split('\n')).toEqual([
      healthy,
      healthy,
      'shop r1-0 exited on node-0000000a at 10.0.0.7:32768 in c0ffee000000',
      `r1-0 of ${DEPLOYMENT_ID} no longer matches`,
      '',
    ]);
    expect(watched.stderr).toContain('the connection to the API broke');
    expect(platform.requestsOf('WatchReplicas', WatchReplicasRequestSchema)).toHaveLength(2);
  });
});

it('obiente node strangers shows what looks like a replica and is none', async () => {
  const shown = await obiente('node', 'strangers', 'node-0000000b');
  expect(shown).toMatchObject({ exitCode: 0, stderr: '' });
  expect(shown.stdout).toMatch(
    /^NODE +CONTAINER +NAME +KIND +WHY +FOUND\nnode-0000000b +f{12} +mine +forged +its name\n$/,
  );
});
