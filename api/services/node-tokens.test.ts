import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateNodeKeys } from '../../adapters/tokens/keys.ts';
import { decryptMembership } from '../../adapters/tokens/membership-envelope.ts';
import { NodesService, NodeTokenState } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type ApiRig, MEMBERSHIP, OPERATOR, startApiRig } from '../../test/support/api-rig.ts';
import { anEnrolment } from '../../test/support/enrolment.ts';
import { refusalOf } from '../../test/support/refusal.ts';

let rig: ApiRig;
beforeAll(async () => {
  rig = await startApiRig();
});
afterAll(() => rig.stop());

const nodes = (as: string = OPERATOR) => rig.clientOf(NodesService, as);
const control = (as = '') => rig.clientOf(ControlService, as);

/** A host that wants to join. */
function aHost() {
  const keys = generateNodeKeys();
  const nodeId = `node-${randomUUID().slice(0, 8)}`;
  const publicHalf = {
    signingJwk: JSON.stringify(keys.signing.publicJwk),
    encryptionJwk: JSON.stringify(keys.encryption.publicJwk),
  };
  const introduction = { ...anEnrolment({ nodeId, joinToken: '', memoryBytes: 1n }), ...publicHalf };
  return { keys, nodeId, introduction, join: (token: string) => control().joinNode({ token, nodeId, ...publicHalf }) };
}

async function stateOf(id: string): Promise<NodeTokenState | undefined> {
  const { tokens } = await nodes().listNodeTokens({});
  return tokens.find((token) => token.id === id)?.state;
}

describe('a join token', () => {
  it('lets one host join, tells it what it needs for it alone, and is listed without being told again', async () => {
    const { token, record } = await nodes().createNodeToken({});
    const [host, other] = [aHost(), aHost()];
    expect(await stateOf(record?.id ?? '')).toBe(NodeTokenState.VALID);
    const { jwe } = await host.join(token);
    expect(await decryptMembership(host.keys.encryption.privateJwk, jwe)).toEqual(MEMBERSHIP);
    await expect(decryptMembership(other.keys.encryption.privateJwk, jwe)).rejects.toThrow();
    // The answer may have been lost: the same host asks again.
    expect((await host.join(token)).jwe).not.toBe('');
    expect(await refusalOf(other.join(token))).toMatchObject({
      ...{ code: 'Unauthenticated', error: 'UNAUTHENTICATED' },
      message: expect.stringContaining('another host has joined with it'),
    });
    expect(await stateOf(record?.id ?? '')).toBe(NodeTokenState.USED);
    expect(JSON.stringify(await rig.db.selectFrom('node_tokens').selectAll().execute())).not.toContain(token);
  });

  it('is refused when it is wrong, expired or revoked, and says which', async () => {
    const host = aHost();
    const messageOf = async (token: string) => (await refusalOf(host.join(token))).message;
    expect(await messageOf(`obn_${'x'.repeat(43)}`)).toContain('nobody has made this token');
    const revoked = await nodes().createNodeToken({});
    await nodes().revokeNodeToken({ tokenId: revoked.record?.id ?? '' });
    expect(await messageOf(revoked.token)).toContain('it was revoked');
    expect(await stateOf(revoked.record?.id ?? '')).toBe(NodeTokenState.REVOKED);
    const expired = await nodes().createNodeToken({ lifetimeS: 60 });
    await rig.db
      .updateTable('node_tokens')
      .set({ expires_at: new Date(0) })
      .where('id', '=', expired.record?.id ?? '')
      .execute();
    expect(await messageOf(expired.token)).toContain('it has expired');
    for (const used of [revoked, expired]) expect(await messageOf(used.token)).not.toContain(used.token);
    expect(await refusalOf(nodes().createNodeToken({ lifetimeS: 59 }))).toMatchObject({ field: 'lifetime_s' });
    expect(await refusalOf(nodes().revokeNodeToken({ tokenId: randomUUID() }))).toMatchObject({ code: 'NotFound' });
  });

  it('is good for one of many hosts that come at the same time', async () => {
    const { token } = await nodes().createNodeToken({});
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => aHost().join(token)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('cannot give a known node other keys', async () => {
    const [{ token: first }, { token: second }] = [
      await nodes().createNodeToken({}),
      await nodes().createNodeToken({}),
    ];
    const host = aHost();
    await host.join(first);
    const { publicHalf } = { publicHalf: aHost().introduction };
    const stolen = control().joinNode({
      ...{ token: second, nodeId: host.nodeId },
      ...{ signingJwk: publicHalf.signingJwk, encryptionJwk: publicHalf.encryptionJwk },
    });
    expect(await refusalOf(stolen)).toMatchObject({ code: 'PermissionDenied' });
    expect((await aHost().join(second)).jwe).not.toBe('');
  });
});

describe('a node that has joined', () => {
  it('enrols by its signature alone, as itself alone', async () => {
    const { token } = await nodes().createNodeToken({});
    const host = aHost();
    expect(await refusalOf(control().enrolNode(host.introduction))).toMatchObject({ code: 'Unauthenticated' });
    await host.join(token);
    expect(await refusalOf(control('node:node-other-one').enrolNode(host.introduction))).toMatchObject({
      code: 'Unauthenticated',
    });
    await control(`node:${host.nodeId}`).enrolNode(host.introduction);
    expect((await nodes().getNode({ nodeId: host.nodeId })).node?.id).toBe(host.nodeId);
  });

  it('is removed when it takes nothing and has nothing, and comes back with a new token only', async () => {
    const host = aHost();
    await host.join((await nodes().createNodeToken({})).token);
    await control(`node:${host.nodeId}`).enrolNode(host.introduction);
    await rig.store.recordNodeState({ nodeId: host.nodeId, state: 'ready', reason: '' });
    expect(await refusalOf(nodes().removeNode({ nodeId: host.nodeId }))).toMatchObject({
      ...{ code: 'FailedPrecondition', error: 'STILL_USED', message: expect.stringContaining('it takes new replicas') },
    });
    await nodes().cordonNode({ nodeId: host.nodeId });
    await nodes().removeNode({ nodeId: host.nodeId });
    await nodes().removeNode({ nodeId: host.nodeId });
    expect(await refusalOf(nodes().getNode({ nodeId: host.nodeId }))).toMatchObject({ code: 'NotFound' });
    const again = () => control(`node:${host.nodeId}`).enrolNode(host.introduction);
    expect(await refusalOf(again())).toMatchObject({ code: 'PermissionDenied' });
    await host.join((await nodes().createNodeToken({})).token);
    await again();
    expect(await refusalOf(nodes().removeNode({ nodeId: 'node-unknown' }))).toMatchObject({ code: 'NotFound' });
  });

  it('stays while replicas are there, even when it is lost', async () => {
    const host = aHost();
    await host.join((await nodes().createNodeToken({})).token);
    await control(`node:${host.nodeId}`).enrolNode({ ...host.introduction, memoryBytes: 64n * 1024n ** 3n });
    await rig.store.recordNodeState({ nodeId: host.nodeId, state: 'ready', reason: '' });
    const alice = await rig.user('alice');
    const { deployment } = await alice.deployments.createDeployment({
      ...{ idempotencyKey: randomUUID(), projectId: alice.projectId, name: 'app' },
      spec: { source: { case: 'image', value: { reference: 'nginx:1' } } },
    });
    await rig.store.beginRollout({ deploymentId: deployment?.id ?? '', operationId: deployment?.operation?.id ?? '' });
    await rig.store.recordNodeState({ nodeId: host.nodeId, state: 'lost', reason: 'silent' });
    expect(await refusalOf(nodes().removeNode({ nodeId: host.nodeId }))).toMatchObject({
      message: expect.stringContaining('1 replica is there'),
    });
  });
});
