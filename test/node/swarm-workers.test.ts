import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createSwarm, type Swarm } from '../../adapters/docker/swarm/swarm.ts';
import { createLog } from '../../adapters/logging/log.ts';
import { createSwarmManagers } from '../../adapters/node-client/swarm-managers.ts';
import { createControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { generateControlKey, generateNodeKeys } from '../../adapters/tokens/keys.ts';
import { decryptService } from '../../adapters/tokens/service-envelope.ts';
import { createSwarmTokenSigner, createSwarmTokenVerifier } from '../../adapters/tokens/swarm-token.ts';
import { DomainError } from '../../domain/errors.ts';
import { LABEL } from '../../domain/naming.ts';
import { leaseLost } from '../../domain/node-lease.ts';
import { type RunningGateway, startNodeGateway } from '../../workers/node/gateway.ts';
import { startDockerOn } from '../cluster/cluster-node.ts';
import { bindToAddress, formSwarm, SWARM_SETTINGS } from '../cluster/form-swarm.ts';
import { openClusterNetwork } from '../cluster/network.ts';
import { type ContainerMaker, describeContainers, openContainerMaker } from '../support/container-contract.ts';
import { copyImage } from '../support/copy-image.ts';
import { openTestDocker, type TestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 240_000 });

const control = generateControlKey();
const tokens = createSwarmTokenSigner(control.privateJwk);
const { publicJwks } = createControlTokenSigner(control.privateJwk);

interface Worker {
  readonly nodeId: string;
  readonly test: TestDocker;
  readonly docker: Swarm;
  /** As of its process; what is asked under an older one is refused once a newer was heard of. */
  epoch: number;
  hasLease: boolean;
}

/** One swarm: a manager, with two nodes for it as if there were two, and two workers. */
async function openSwarm() {
  const stack = new AsyncDisposableStack();
  const source = await openTestDocker();
  stack.defer(source.remove);
  const instance = randomBytes(4).toString('hex');
  const network = await openClusterNetwork(stack);
  const members = await Promise.all(
    ['manager', 'worker-a', 'worker-b'].map(async (name) => {
      const host = await network.addHost(name);
      const docker = await startDockerOn(stack, host, { settings: SWARM_SETTINGS });
      await bindToAddress({ address: host.address, docker });
      return { address: host.address, docker };
    }),
  );
  for (const { docker } of members) await copyImage(source.image, source.client, docker.client);
  await formSwarm(stack, members, 1);
  const [first, ...others] = members;
  if (!first) throw new Error('a swarm has a manager');
  const optionsOf = ({ address, docker: { socketPath } }: (typeof members)[number]) => {
    return { socketPath, instance, nodeAddress: address, requestTimeoutMs: 30_000, tell: () => undefined };
  };
  const { own } = createSwarm(optionsOf(first));

  const gateways: { nodeId: string; jwk: string; gateway: RunningGateway; url: string }[] = [];
  const refuse = () => Promise.reject(new DomainError('UNAUTHENTICATED', 'a token of another kind'));
  const openGateway = async (nodeId: string, port = 0) => {
    const { encryption } = generateNodeKeys();
    const verifier = createSwarmTokenVerifier({ getJwks: () => publicJwks, nodeId });
    const gateway = await startNodeGateway({
      ...{ bindAddress: '127.0.0.1', port, instance, docker: source.docker },
      ...{ verifyToken: refuse, verifyImageToken: refuse, verifyVolumeToken: refuse },
      swarm: {
        ...{ instance, own, openService: (jwe) => decryptService(encryption.privateJwk, jwe) },
        verifyToken: (token) => verifier.verify(token),
      },
      log: createLog({ role: 'node', level: 'silent' }),
    });
    stack.defer(() => gateway.stop());
    const url = `http://127.0.0.1:${gateway.port}`;
    gateways.push({ nodeId, jwk: JSON.stringify(encryption.publicJwk), gateway, url });
  };
  for (const nodeId of ['node-manager-1', 'node-manager-2']) await openGateway(nodeId);

  const workers = others.map((member, index): Worker => {
    const nodeId = `node-worker-${index}`;
    const state = { epoch: 1, hasLease: true };
    const beforeChange = (): void => {
      if (!state.hasLease) throw leaseLost(`node ${nodeId}`);
    };
    const docker = createSwarm({
      ...optionsOf(member),
      askManagers: createSwarmManagers({
        ...{ epoch: () => state.epoch, beforeChange },
        fetchManagers: async () => {
          const { nodeId: swarmNodeId } = await docker.membership.look();
          const claim = { nodeId, swarmNodeId, epoch: state.epoch };
          return await Promise.all(
            gateways.map(async ({ nodeId: manager, jwk, url }) => {
              const token = await tokens.sign({ ...claim, manager });
              return { nodeId: manager, gatewayUrl: url, token, encryptionJwk: jwk };
            }),
          );
        },
      }),
    });
    const { client } = member.docker;
    const filters = { label: [`${LABEL.instance}=${instance}`] };
    const test: TestDocker = {
      ...{ docker, client, instance, image: source.image, networks: first.docker.client, isOwnOnly: true },
      listContainers: async () => (await client.listContainers({ all: true, filters })).map(({ Id }) => Id),
      remove: async () => undefined,
    };
    return Object.assign(state, { nodeId, test, docker });
  });
  const [a, b] = workers;
  if (!a || !b) throw new Error('there are two workers');
  return { instance, manager: first.docker.client, gateways, a, b, remove: () => stack.disposeAsync() };
}

type Opened = Awaited<ReturnType<typeof openSwarm>>;

describeContainers('a worker of a swarm', async () => {
  const { a, remove } = await openSwarm();
  return { ...a.test, remove };
});

describe('a node on a worker', () => {
  let swarm: Opened;
  let make: ContainerMaker;
  beforeAll(async () => {
    swarm = await openSwarm();
    make = await openContainerMaker(swarm.a.test);
  });
  afterAll(() => swarm?.remove());

  it('has its services made where it is, with their variables, and no manager tells those on', async () => {
    const { a } = swarm;
    const wanted = make.aContainer({ environment: { SECRET: 'a=b {{.Node.ID}}' } });
    const id = await make.running(wanted);
    expect(await a.docker.createContainer(wanted)).toEqual({ id, adopted: true });
    const filters = { label: [`com.docker.swarm.service.id=${id}`] };
    const [task] = await a.test.client.listContainers({ filters });
    const { Config } = await a.test.client.getContainer(task?.Id ?? '').inspect();
    expect(Config.Env).toContain('SECRET=a=b {{.Node.ID}}');
    expect(JSON.stringify(await a.docker.findContainer(id))).not.toContain('{{.Node.ID}}');
    await a.docker.removeContainer(id);
  });

  it('cannot find, start, stop, remove or replace what is another worker’s', async () => {
    const { a, b, manager } = swarm;
    const wanted = make.aContainer();
    const id = await make.running(wanted);
    expect(await b.docker.findContainer(id)).toBeUndefined();
    expect(await b.docker.findContainer(wanted.name)).toBeUndefined();
    expect((await b.docker.listLabelled()).map((thing) => thing.id)).not.toContain(id);
    expect((await a.docker.listLabelled()).map((thing) => thing.id)).toContain(id);
    await expect(b.docker.startContainer(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await b.docker.stopContainer(id, 1_000);
    await b.docker.removeContainer(id);
    await expect(b.docker.createContainer(wanted)).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
    const { Spec } = (await manager.getService(id).inspect()) as { Spec: { Mode: object; Name: string } };
    expect(Spec).toMatchObject({ Name: wanted.name, Mode: { Replicated: { Replicas: 1 } } });
    expect((await a.docker.findContainer(id))?.status).toBe('running');
    await a.docker.removeContainer(id);
  });

  it('cannot touch what another installation, or nobody of the platform, has on its own host', async () => {
    const { a, manager } = swarm;
    const { nodeId } = await a.docker.membership.look();
    const strange = await manager.createService({
      ...{ Name: `strange-${randomUUID()}`, Labels: { 'cloud.obiente.swarm_node': nodeId } },
      TaskTemplate: { ContainerSpec: { Image: a.test.image, Command: ['/bin/sleep', '600'] } },
      Mode: { Replicated: { Replicas: 0 } },
    });
    expect(await a.docker.findContainer(strange.id)).toBeUndefined();
    await a.docker.removeContainer(strange.id);
    expect((await manager.getService(strange.id).inspect()).ID).toBe(strange.id);
    await manager.getService(strange.id).remove();
    const network = await manager.createNetwork({
      Name: `strange-${randomUUID()}`,
      Driver: 'overlay',
      Labels: { [LABEL.instance]: 'another1' },
    });
    await expect(a.docker.removeNetworkIfUnused(network.id)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await manager.getNetwork(network.id).remove();
    const named = { name: 'no-name-of-ours', labels: { [LABEL.managed]: 'true', [LABEL.instance]: swarm.instance } };
    await expect(a.docker.ensureNetwork(named)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  it('changes nothing without its lease, and an older process of it is not heard any more', async () => {
    const { b } = swarm;
    const made = await openContainerMaker(b.test);
    const id = await made.running(made.aContainer());
    b.hasLease = false;
    await expect(b.docker.removeContainer(id)).rejects.toMatchObject({ code: 'NODE_LEASE_LOST' });
    b.hasLease = true;
    b.epoch = 3;
    expect((await b.docker.findContainer(id))?.status).toBe('running');
    await b.docker.setRestartPolicy(id, 'always');
    b.epoch = 2;
    await expect(b.docker.removeContainer(id)).rejects.toMatchObject({ code: 'NODE_LEASE_LOST' });
    b.epoch = 4;
    await b.docker.removeContainer(id);
    expect(await b.docker.findContainer(id)).toBeUndefined();
  });

  it('takes no work while the swarm gives its host none, and knows its labels there', async () => {
    const { a, manager } = swarm;
    expect(await a.docker.checkHealth()).toEqual({ kind: 'healthy' });
    await a.docker.describeHost();
    const { nodeId } = await a.docker.membership.look();
    const set = async (Availability: string, Labels: Record<string, string> = {}): Promise<void> => {
      const node = manager.getNode(nodeId);
      const { Version, Spec } = (await node.inspect()) as { Version: { Index: number }; Spec: object };
      await node.update({ version: Version.Index, ...Spec, Availability, Labels } as object);
    };
    await set('drain', { region: 'eu' });
    const reason = 'its availability in the swarm is drain';
    expect(await a.docker.checkHealth()).toEqual({ kind: 'unreachable', reason });
    expect(a.docker.isOutdated()).toBe(true);
    expect(await a.docker.describeHost()).toMatchObject({
      labels: { region: 'eu' },
      swarm: { nodeId, isManager: false },
    });
    expect(a.docker.isOutdated()).toBe(false);
    await set('active');
    expect(await a.docker.checkHealth()).toEqual({ kind: 'healthy' });
  });

  it('asks the next manager when one is away, and waits when all are', async () => {
    const { a, gateways } = swarm;
    const wanted = make.aContainer();
    const id = await make.running(wanted);
    await gateways[0]?.gateway.stop();
    expect(await a.docker.createContainer(wanted)).toEqual({ id, adopted: true });
    await a.docker.stopContainer(id, 1_000);
    await gateways[1]?.gateway.stop();
    await expect(a.docker.startContainer(id)).rejects.toMatchObject({ code: 'DOCKER_UNAVAILABLE' });
    expect((await a.docker.checkHealth()).kind).toBe('unanswered');
  });

  it('says that its host has left the swarm', async () => {
    const { b } = swarm;
    await b.test.client.swarmLeave({ force: true });
    await eventually(async () =>
      expect(await b.docker.checkHealth()).toMatchObject({
        kind: 'unreachable',
        reason: expect.stringContaining('this host is in no swarm'),
      }),
    );
  });
});
