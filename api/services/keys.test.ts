import { randomBytes, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKeyring, keyId } from '../../adapters/sealing/keyring.ts';
import { decryptEnvironment } from '../../adapters/tokens/environment-envelope.ts';
import { generateNodeKeys } from '../../adapters/tokens/keys.ts';
import { ONLY_SERVICE, type SealedVariable, type SingleSpec, servicesOf } from '../../domain/spec.ts';
import { DeploymentsService } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { KeysService, type Rotation, RotationState } from '../../gen/obiente/cloud/v1/keys_pb.ts';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type ApiRig, OPERATOR, startApiRig } from '../../test/support/api-rig.ts';
import { createFirstSealing } from '../../test/support/data-keys.ts';
import { anEnrolment } from '../../test/support/enrolment.ts';
import { refusalOf } from '../../test/support/refusal.ts';
import { variablePlace } from '../secret-places.ts';
import { sealVariable } from '../wanted-spec.ts';

const NODE = 'node-00000001';
const CANARY = 'canary-of-a-variable-4711';

let rig: ApiRig;
const nodeKeys = generateNodeKeys();

beforeAll(async () => {
  rig = await startApiRig();
  const jwks = {
    signingJwk: JSON.stringify(nodeKeys.signing.publicJwk),
    encryptionJwk: JSON.stringify(nodeKeys.encryption.publicJwk),
  };
  const large = { nodeId: NODE, memoryBytes: 1024n ** 4n };
  await rig.clientOf(ControlService, '').enrolNode({ ...anEnrolment(large), ...jwks, cpuCores: 1000 });
  await rig.store.recordNodeState({ nodeId: NODE, state: 'ready', reason: '' });
});
afterAll(() => rig.stop());

type Process = Pick<ApiRig, 'clientOf' | 'masterKeys' | 'sealing'>;
type User = Awaited<ReturnType<ApiRig['user']>>;

function keysOf(process: Process = rig) {
  return process.clientOf(KeysService, OPERATOR);
}

/** An API process that has started with a file of these keys. */
function aProcess(first: Uint8Array, ...others: Uint8Array[]): Process {
  return rig.aProcess(createKeyring(first, ...others));
}

async function follow(process: Process, rotation: Rotation | undefined): Promise<Rotation | undefined> {
  let last: Rotation | undefined;
  for await (const message of keysOf(process).watchRotation({ rotationId: rotation?.id ?? '' })) {
    last = message.rotation ?? last;
  }
  return last;
}

async function rotate(process: Process): Promise<Rotation | undefined> {
  const { rotation } = await keysOf(process).rotateMasterKey({ idempotencyKey: randomUUID() });
  return await follow(process, rotation);
}

/** A deployment of the user with a replica on the node. */
async function aPlaced(process: Process, user: User, variables: Record<string, string>, key: string = randomUUID()) {
  const environment = Object.entries(variables).map(([name, value]) => ({ name, value }));
  const spec = {
    source: { case: 'image', value: { reference: 'nginx:1' } },
    limits: { cpuCores: 0.01, memoryBytes: 8n * 1024n ** 2n },
    environment,
  } as const;
  const creation = { idempotencyKey: key, projectId: user.projectId, name: `app-${key.slice(0, 8)}`, spec };
  const { deployment } = await process.clientOf(DeploymentsService, user.name).createDeployment(creation);
  const deploymentId = deployment?.id ?? '';
  await rig.store.beginRollout({ deploymentId, operationId: deployment?.operation?.id ?? '' });
  return { deploymentId, creation };
}

/** What the node gets of a revision's variables. */
async function fetched(process: Process, deploymentId: string, revision = 1): Promise<Record<string, string>> {
  const control = process.clientOf(ControlService, `node:${NODE}`);
  const { jwe } = await control.fetchEnvironment({ deploymentId, revision, service: ONLY_SERVICE });
  const variables = await decryptEnvironment(nodeKeys.encryption.privateJwk, jwe);
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
}

async function variablesOf(deploymentId: string, revision = 1): Promise<readonly SealedVariable[]> {
  const { spec } = await rig.db
    .selectFrom('revisions')
    .select('spec')
    .where('deployment_id', '=', deploymentId)
    .where('number', '=', revision)
    .executeTakeFirstOrThrow();
  return servicesOf(spec)[0]?.environment ?? [];
}

/** Writes what the database refuses to let the platform itself write. */
async function tamper(deploymentId: string, change: (variables: readonly SealedVariable[]) => SealedVariable[]) {
  const { spec } = await rig.db
    .selectFrom('revisions')
    .select('spec')
    .where('deployment_id', '=', deploymentId)
    .executeTakeFirstOrThrow();
  const single = spec as SingleSpec;
  const tampered: SingleSpec = { ...single, environment: change(single.environment) };
  await rig.db.transaction().execute(async (tx) => {
    await sql`ALTER TABLE revisions DISABLE TRIGGER revisions_immutable`.execute(tx);
    await tx
      .updateTable('revisions')
      .set({ spec: JSON.stringify(tampered) })
      .where('deployment_id', '=', deploymentId)
      .execute();
    await sql`ALTER TABLE revisions ENABLE TRIGGER revisions_immutable`.execute(tx);
  });
}

describe('the keys of the platform', () => {
  it('are told by name: which wrap what, which the process has, and how a rotation stands', async () => {
    await aPlaced(rig, await rig.user('told'), { A: 'x' });
    const before = await keysOf().getKeys({});
    expect(before.masterKeys).toMatchObject([{ id: rig.masterKeys.present.id, present: true, known: true }]);
    expect(before.payloadKeyIds).toEqual([expect.stringMatching(/^[0-9a-f]{8}$/)]);
    expect(before.rotation).toBeUndefined();

    const [old, next] = [rig.masterKeys.present.key, randomBytes(32)];
    const present = aProcess(next, old);
    const rotation = await rotate(present);
    const dataKeys = before.masterKeys[0]?.dataKeys ?? 0n;
    const expected = { state: RotationState.SUCCEEDED, masterKeyId: keyId(next), rewrapped: dataKeys };
    expect(rotation).toMatchObject({ ...expected, errorCode: '', finishedAt: expect.anything() });
    const after = await keysOf(present).getKeys({});
    expect(after.rotation).toEqual(rotation);
    expect(after.masterKeys).toMatchObject([
      { id: keyId(next), dataKeys, present: true, known: true },
      { id: keyId(old), dataKeys: 0n, present: false, known: true },
    ]);
    expect((await keysOf().getKeys({})).masterKeys).toMatchObject([
      { id: keyId(old), dataKeys: 0n, present: true, known: true },
      { id: keyId(next), dataKeys, present: false, known: false },
    ]);
    expect(await rotate(aProcess(old, next))).toMatchObject({ state: RotationState.SUCCEEDED });
  });

  it('are rotated once for a key of the caller', async () => {
    const [old, next] = [rig.masterKeys.present.key, randomBytes(32)];
    const idempotencyKey = randomUUID();
    const [first, second] = await Promise.all(
      [1, 2].map(() => keysOf(aProcess(next, old)).rotateMasterKey({ idempotencyKey })),
    );
    expect(second?.rotation?.id).toBe(first?.rotation?.id);
    const ended = await follow(rig, first?.rotation);
    expect((await keysOf(aProcess(next, old)).rotateMasterKey({ idempotencyKey })).rotation).toEqual(ended);
    expect(await rotate(aProcess(old, next))).toMatchObject({ state: RotationState.SUCCEEDED });
  });

  it('are not rotated while workflows are away, and a rotation that there is not cannot be watched', async () => {
    rig.world.workflowsAway = true;
    const refusal = await refusalOf(keysOf().rotateMasterKey({ idempotencyKey: randomUUID() }));
    rig.world.workflowsAway = false;
    expect(refusal).toMatchObject({ code: 'Unavailable' });
    const unknown = await refusalOf(keysOf().watchRotation({ rotationId: randomUUID() }));
    expect(unknown).toMatchObject({ code: 'NotFound' });
  });

  it('tell why a rotation failed, by the name of the master key that is missing', async () => {
    const [lost, present] = [aProcess(randomBytes(32)), aProcess(randomBytes(32), rig.masterKeys.present.key)];
    const user = await rig.user('lost');
    await aPlaced(lost, user, { A: 'x' });
    const failed = await rotate(present);
    expect(failed).toMatchObject({ state: RotationState.FAILED, errorCode: 'CONFIGURATION' });
    expect(failed?.errorMessage).toContain(`1 by ${lost.masterKeys.present.id}, which is not there`);
    const both = aProcess(rig.masterKeys.present.key, lost.masterKeys.present.key, present.masterKeys.present.key);
    expect(await rotate(both)).toMatchObject({ state: RotationState.SUCCEEDED });
  });
});

describe('a master key that is lost', () => {
  it('takes the values with it, which are set anew once its data keys are out of the database and the API restarts', async () => {
    const user = await rig.user('loses');
    const [lost, fresh] = [aProcess(randomBytes(32)), aProcess(rig.masterKeys.present.key)];
    const { deploymentId } = await aPlaced(lost, user, { A: CANARY });
    const change = { deploymentId, setEnvironment: [{ name: 'A', value: 'anew' }] };
    const update = (process: Process) =>
      process.clientOf(DeploymentsService, user.name).updateDeployment({ idempotencyKey: randomUUID(), ...change });
    expect(await refusalOf(fetched(fresh, deploymentId))).toMatchObject({ code: 'Internal' });
    expect(await refusalOf(update(fresh))).toMatchObject({ code: 'Internal' });
    const { id } = lost.masterKeys.present;
    await rig.db.deleteFrom('organization_keys').where('master_key_id', '=', id).execute();
    const restarted = aProcess(rig.masterKeys.present.key);
    await update(restarted);
    expect(await refusalOf(fetched(restarted, deploymentId))).toMatchObject({ code: 'Internal' });
    const other = await aPlaced(restarted, user, { A: 'anew' });
    expect(await fetched(restarted, other.deploymentId)).toEqual({ A: 'anew' });
    const [variable] = await variablesOf(deploymentId, 2);
    const place = { organizationId: user.organizationId, deploymentId, service: ONLY_SERVICE, isBuildArgument: false };
    const { version, sealed = '' } = variable ?? {};
    expect(await restarted.sealing.open({ ...variablePlace(place, { name: 'A' }), version, sealed })).toBe('anew');
  });
});

describe('a rotation while the platform is at work', { timeout: 180_000 }, () => {
  it('leaves every deployment with its variables, on old processes, prepared ones and new ones', async () => {
    const [old, next] = [rig.masterKeys.present.key, randomBytes(32)];
    const users = await Promise.all(Array.from({ length: 4 }, (_, index) => rig.user(`busy-${index}`)));
    const [prepared, present] = [aProcess(old, next), aProcess(next, old)];
    const made: { deploymentId: string; value: string }[] = [];
    const work = async (process: Process, user: User): Promise<void> => {
      for (let turn = 0; turn < 8; turn += 1) {
        const value = randomUUID();
        const { deploymentId } = await aPlaced(process, user, { VALUE: value, TURN: `${turn}` });
        made.push({ deploymentId, value });
        for (const reader of [prepared, present]) {
          expect(await fetched(reader, deploymentId)).toEqual({ VALUE: value, TURN: `${turn}` });
        }
      }
    };
    const renew = async (user: User): Promise<void> => {
      for (let turn = 0; turn < 3; turn += 1) {
        await keysOf(present).renewDataKey({ idempotencyKey: randomUUID(), organizationId: user.organizationId });
      }
    };
    const working = users.map((user, index) => work(index % 2 === 0 ? prepared : present, user));
    const [rotation] = await Promise.all([rotate(present), ...users.slice(0, 2).map(renew), ...working]);
    expect(rotation).toMatchObject({ state: RotationState.SUCCEEDED });

    // The prepared processes have gone by now: nothing writes by the old key any more.
    expect(await rotate(present)).toMatchObject({ state: RotationState.SUCCEEDED });
    const { masterKeys } = await keysOf(present).getKeys({});
    expect(masterKeys).toMatchObject([{ id: keyId(next) }, { id: keyId(old), dataKeys: 0n }]);
    const without = aProcess(next);
    for (const { deploymentId, value } of made) {
      expect(await fetched(without, deploymentId)).toMatchObject({ VALUE: value });
    }
    expect(await rotate(aProcess(old, next))).toMatchObject({ state: RotationState.SUCCEEDED });
  });

  it('answers a repeated call alike, after a rotation and a new data key', async () => {
    const user = await rig.user('repeats');
    const { deploymentId, creation } = await aPlaced(rig, user, { TOKEN: CANARY });
    const [old, next] = [rig.masterKeys.present.key, randomBytes(32)];
    const present = aProcess(next, old);
    await rotate(present);
    const { organizationId } = user;
    expect(await keysOf(present).renewDataKey({ idempotencyKey: randomUUID(), organizationId })).toMatchObject({
      version: 2,
    });
    const { deployment } = await present.clientOf(DeploymentsService, user.name).createDeployment(creation);
    expect(deployment?.id).toBe(deploymentId);
    await rotate(aProcess(old, next));
  });
});

describe('a new data key', () => {
  it('seals new values, carries unchanged ones unopened, and is one for a key of the caller', async () => {
    const user = await rig.user('renews');
    const { deploymentId } = await aPlaced(rig, user, { KEPT: 'kept', SET: 'old' });
    const [kept] = await variablesOf(deploymentId);
    expect(kept).toMatchObject({ name: 'KEPT', version: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    const { organizationId } = user;
    const renewal = { idempotencyKey: randomUUID(), organizationId: organizationId.toUpperCase() };
    expect(await keysOf().renewDataKey(renewal)).toMatchObject({ version: 2 });
    expect(await keysOf().renewDataKey(renewal)).toMatchObject({ version: 2 });

    const fresh = aProcess(rig.masterKeys.present.key);
    await fresh.clientOf(DeploymentsService, user.name).updateDeployment({
      ...{ idempotencyKey: randomUUID(), deploymentId, setEnvironment: [{ name: 'SET', value: 'new' }] },
    });
    const [unchanged, changed] = await variablesOf(deploymentId, 2);
    expect(unchanged).toEqual(kept);
    expect(kept?.sealed).toMatch(/^s2\.1\./);
    expect(changed?.sealed).toMatch(/^s2\.2\./);
  });

  it('is refused for an organization that there is not', async () => {
    const renewal = { idempotencyKey: randomUUID(), organizationId: randomUUID() };
    expect(await refusalOf(keysOf().renewDataKey(renewal))).toMatchObject({ code: 'NotFound' });
  });
});

describe('a sealed value in a place that is not its own', () => {
  let user: User;
  let victim: { deploymentId: string };
  let other: { deploymentId: string };
  beforeAll(async () => {
    user = await rig.user('tampers');
    other = await aPlaced(rig, user, { TOKEN: CANARY, ELSE: 'else' });
  });

  async function expectNothing(): Promise<void> {
    const refusal = await refusalOf(fetched(rig, victim.deploymentId));
    expect(refusal).toMatchObject({ code: 'Internal' });
    expect(JSON.stringify(refusal)).not.toContain('canary');
  }

  it('of another deployment, with its version or without, gives a node nothing', async () => {
    const [foreign] = await variablesOf(other.deploymentId);
    if (!foreign) throw new Error('no variable');
    for (const take of [
      (own: SealedVariable) => ({ ...own, sealed: foreign.sealed }),
      (own: SealedVariable) => ({ ...own, sealed: foreign.sealed, version: foreign.version ?? '' }),
      ({ version: _, ...own }: SealedVariable) => ({ ...own, sealed: foreign.sealed }),
    ]) {
      victim = await aPlaced(rig, user, { TOKEN: 'own' });
      await tamper(victim.deploymentId, (variables) => variables.map(take));
      await expectNothing();
    }
  });

  it('of an older revision gives a node nothing', async () => {
    victim = await aPlaced(rig, user, { TOKEN: 'older' });
    const [older] = await variablesOf(victim.deploymentId);
    victim = await aPlaced(rig, user, { TOKEN: 'newer' });
    await tamper(victim.deploymentId, ([newer]) => (newer && older ? [{ ...newer, sealed: older.sealed }] : []));
    await expectNothing();
  });

  it('of another service of the deployment, or of the building of its image, gives a node nothing', async () => {
    const { organizationId } = user;
    victim = await aPlaced(rig, user, { TOKEN: 'own' });
    const places = [
      { organizationId, ...victim, service: 'other', isBuildArgument: false },
      { organizationId, ...victim, service: ONLY_SERVICE, isBuildArgument: true },
    ];
    for (const place of places) {
      const sealed = await sealVariable(rig.sealing, place, { name: 'TOKEN', value: CANARY });
      await tamper(victim.deploymentId, () => [sealed]);
      await expectNothing();
    }
  });

  it('of another variable of the deployment gives a node nothing', async () => {
    victim = await aPlaced(rig, user, { A: CANARY, B: 'b' });
    await tamper(victim.deploymentId, ([a, b]) => (a && b ? [a, { ...a, name: 'B' }] : []));
    await expectNothing();
  });
});

describe('a value from before versions', () => {
  it('is opened for nodes, and carried from revision to revision as it is', async () => {
    const user = await rig.user('first-version');
    const first = createFirstSealing(rig.masterKeys.present.key, user.organizationId);
    const key = { id: randomUUID(), organization_id: user.organizationId, version: 1, wrapped_key: first.wrappedKey };
    await rig.db.insertInto('organization_keys').values(key).execute();
    const { deploymentId } = await aPlaced(rig, user, {});
    const old = { name: 'TOKEN', sealed: first.seal('TOKEN', CANARY), fingerprint: first.fingerprint(CANARY) };
    await tamper(deploymentId, () => [old]);
    expect(await fetched(rig, deploymentId)).toEqual({ TOKEN: CANARY });

    const change = { idempotencyKey: randomUUID(), deploymentId, setEnvironment: [{ name: 'NEW', value: 'new' }] };
    await user.deployments.updateDeployment(change);
    const variables = await variablesOf(deploymentId, 2);
    expect(variables).toEqual([old, expect.objectContaining({ name: 'NEW', version: expect.any(String) })]);
    const { organizationId } = user;
    const place = { organizationId, deploymentId, service: ONLY_SERVICE, isBuildArgument: false };
    const opened = variables.map(({ version, sealed, ...own }) =>
      rig.sealing.open({ ...variablePlace(place, own), version, sealed }),
    );
    expect(await Promise.all(opened)).toEqual([CANARY, 'new']);
  });
});
