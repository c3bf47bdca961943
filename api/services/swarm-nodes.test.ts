import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NodesService } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type ApiRig, OPERATOR, startApiRig } from '../../test/support/api-rig.ts';
import { anEnrolment } from '../../test/support/enrolment.ts';
import { refusalOf } from '../../test/support/refusal.ts';

const [MANAGER, WORKER, BARE, LEFT] = ['m', 'w', 'b', 'x'].map((letter) => letter.repeat(25)) as [
  string,
  string,
  string,
  string,
];

let rig: ApiRig;
beforeAll(async () => {
  rig = await startApiRig();
  await rig.user(OPERATOR);
  await enrol('node-manager', MANAGER, true);
  await enrol('node-worker', WORKER);
  await enrol('node-gone', LEFT);
  await enrol('node-plain', '');
});
afterAll(() => rig.stop());

const control = (as = '') => rig.clientOf(ControlService, as);

async function enrol(nodeId: string, swarmNodeId: string, swarmManager = false) {
  return await control().enrolNode({ ...anEnrolment({ nodeId, hostname: nodeId }), swarmNodeId, swarmManager });
}

describe('the hosts of a swarm', () => {
  it('are told as a manager knows them, beside their nodes, and those that have left last', async () => {
    const asked: string[] = [];
    rig.world.swarmHosts = async ({ nodeId }) => {
      asked.push(nodeId);
      return [MANAGER, WORKER, BARE].map((id) => ({
        ...{ $typeName: 'obiente.internal.v1.SwarmNode' as const, id, hostname: `host-${id[0]}` },
        ...{ role: id === MANAGER ? 'manager' : 'worker', availability: 'active', state: 'ready' },
        ...{ address: '10.0.0.1', leader: id === MANAGER },
      }));
    };
    const { nodes } = await rig.clientOf(NodesService, OPERATOR).listSwarmNodes({});
    expect(asked).toEqual(['node-manager']);
    expect(nodes.map(({ swarmNodeId, node, state }) => [swarmNodeId, node?.id, state])).toEqual([
      [BARE, undefined, 'ready'],
      [MANAGER, 'node-manager', 'ready'],
      [WORKER, 'node-worker', 'ready'],
      [LEFT, 'node-gone', 'left'],
    ]);
    expect(nodes[1]?.reason).toBe('enrolled, not seen working yet');
  });

  it('are not told while no manager answers, nor to others than operators', async () => {
    rig.world.swarmHosts = async () => undefined;
    const refused = await refusalOf(rig.clientOf(NodesService, OPERATOR).listSwarmNodes({}));
    expect(refused).toMatchObject({ error: 'NODE_UNAVAILABLE' });
    await rig.user('somebody');
    expect(await refusalOf(rig.clientOf(NodesService, 'somebody').listSwarmNodes({}))).toMatchObject({
      code: 'PermissionDenied',
    });
  });
});

describe('a node on a host of a swarm', () => {
  it('gets tokens for managers, for its own host and no other, whatever it asks', async () => {
    const { managers } = await control('node:node-worker').fetchSwarmManagers({ swarmNodeIds: [MANAGER, BARE] });
    expect(managers).toMatchObject([{ nodeId: 'node-manager', gatewayUrl: 'http://127.0.0.1:7410' }]);
    expect(JSON.parse(managers[0]?.token ?? '')).toEqual({
      ...{ nodeId: 'node-worker', swarmNodeId: WORKER, epoch: 0, manager: 'node-manager' },
    });
    expect(JSON.parse(managers[0]?.encryptionJwk ?? '')).not.toHaveProperty('d');
  });

  it('gets none where it is on no host of a swarm', async () => {
    const refused = await refusalOf(control('node:node-plain').fetchSwarmManagers({ swarmNodeIds: [MANAGER] }));
    expect(refused).toMatchObject({ code: 'NotFound' });
  });

  it('cannot take the host of another node, and may have another one when it was joined anew', async () => {
    expect(await refusalOf(enrol('node-thief', WORKER))).toMatchObject({
      ...{ code: 'PermissionDenied', error: 'PERMISSION_DENIED' },
      message: expect.stringContaining('is the host of node node-worker'),
    });
  });
});
