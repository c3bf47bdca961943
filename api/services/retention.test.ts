import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addItems, finishRun } from '../../adapters/postgres/retention/runs.ts';
import { RetentionService, RetentionState } from '../../gen/obiente/cloud/v1/retention_pb.ts';
import { type ApiRig, OPERATOR, startApiRig } from '../../test/support/api-rig.ts';
import { aReadyNode } from '../../test/support/control-data.ts';
import { refusalOf } from '../../test/support/refusal.ts';

let rig: ApiRig;
beforeAll(async () => {
  rig = await startApiRig();
});
afterAll(() => rig.stop());

const as = (name: string) => rig.clientOf(RetentionService, name);
const aKey = (): string => `key-${randomUUID()}`;

async function finish(runId: string, error = ''): Promise<void> {
  await finishRun(rig.db, { runId, error });
}

describe('the service of retention', () => {
  it('is for operators of the platform only', async () => {
    const refused = await refusalOf(as('alice').runRetention({ idempotencyKey: aKey() }));
    expect(refused).toMatchObject({ code: 'PermissionDenied', error: 'PERMISSION_DENIED' });
    expect(await refusalOf(as('alice').listRetentionRuns({}))).toMatchObject({ code: 'PermissionDenied' });
    expect(await refusalOf(as('alice').getRetentionRun({ runId: randomUUID() }))).toMatchObject({
      code: 'PermissionDenied',
    });
  });

  it('answers the same key with the same run, also when it is over, and refuses it for another wish', async () => {
    const idempotencyKey = aKey();
    const first = await as(OPERATOR).runRetention({ idempotencyKey });
    expect(first).toMatchObject({ attended: false, run: { state: RetentionState.RUNNING, dryRun: false } });
    expect(await as(OPERATOR).runRetention({ idempotencyKey })).toEqual(first);
    const other = await refusalOf(as(OPERATOR).runRetention({ idempotencyKey, dryRun: true }));
    expect(other).toMatchObject({ error: 'IDEMPOTENCY_CONFLICT', field: 'idempotency_key' });
    await finish(first.run?.id ?? '');
    const again = await as(OPERATOR).runRetention({ idempotencyKey });
    expect(again.run).toMatchObject({ id: first.run?.id, state: RetentionState.SUCCEEDED });
  });

  it('attends the run that is under way, and beside it one that only counts', async () => {
    const first = await as(OPERATOR).runRetention({ idempotencyKey: aKey() });
    const second = await as(OPERATOR).runRetention({ idempotencyKey: aKey() });
    expect(second).toMatchObject({ attended: true, run: { id: first.run?.id } });
    const dry = await as(OPERATOR).runRetention({ idempotencyKey: aKey(), dryRun: true });
    expect(dry).toMatchObject({ attended: false, run: { dryRun: true } });
    for (const { run } of [first, dry]) await finish(run?.id ?? '');
    expect((await as(OPERATOR).runRetention({ idempotencyKey: aKey() })).attended).toBe(false);
  });

  it('runs for one node beside a run of everything, and knows no node that there is not', async () => {
    const nodeId = await aReadyNode(rig.db);
    const whole = await as(OPERATOR).runRetention({ idempotencyKey: aKey() });
    const idempotencyKey = aKey();
    const one = await as(OPERATOR).runRetention({ idempotencyKey, nodeId });
    expect(one).toMatchObject({ attended: false, run: { nodeId, state: RetentionState.RUNNING } });
    expect(await refusalOf(as(OPERATOR).runRetention({ idempotencyKey }))).toMatchObject({
      error: 'IDEMPOTENCY_CONFLICT',
    });
    expect(
      await refusalOf(as(OPERATOR).runRetention({ idempotencyKey: aKey(), nodeId: 'node-of-nobody' })),
    ).toMatchObject({ error: 'NOT_FOUND' });
    const { run } = await as(OPERATOR).getRetentionRun({ runId: whole.run?.id ?? '' });
    expect(run).toMatchObject({ nodeId: '', state: RetentionState.RUNNING });
    for (const { run } of [whole, one]) await finish(run?.id ?? '');
  });

  it('waits for the end of a run, and answers with its report', async () => {
    const { run } = await as(OPERATOR).runRetention({ idempotencyKey: aKey() });
    const runId = run?.id ?? '';
    const waiting = as(OPERATOR).getRetentionRun({ runId, waitSeconds: 30 });
    const items = [
      { kind: 'images', nodeId: 'node-1', reason: '', count: 2, bytes: 4096 },
      { kind: 'images', nodeId: 'node-1', reason: 'needed by a revision that stays', count: 1, bytes: null },
    ];
    await rig.db.transaction().execute((tx) => addItems(tx, runId, items));
    await finish(runId, 'nodes: internal error');
    const answer = await waiting;
    expect(answer.run).toMatchObject({ state: RetentionState.FAILED, errorMessage: 'nodes: internal error' });
    expect(answer.items).toMatchObject([{ count: 2n, bytes: 4096n }, { reason: items[1]?.reason }]);
    expect(answer.items[1]?.bytes).toBeUndefined();
    const { runs } = await as(OPERATOR).listRetentionRuns({});
    expect(runs[0]).toMatchObject({ id: runId, actorUserId: (await rig.user(OPERATOR)).userId });
  });

  it('answers after its wait when the run goes on, and knows no run that there is not', async () => {
    const { run } = await as(OPERATOR).runRetention({ idempotencyKey: aKey() });
    const runId = run?.id ?? '';
    expect((await as(OPERATOR).getRetentionRun({ runId, waitSeconds: 1 })).run?.state).toBe(RetentionState.RUNNING);
    expect(await refusalOf(as(OPERATOR).getRetentionRun({ runId: randomUUID() }))).toMatchObject({
      error: 'NOT_FOUND',
    });
    await finish(runId);
  });

  it('begins nothing while the workflows are away, and once when they are back', async () => {
    const idempotencyKey = aKey();
    rig.world.workflowsAway = true;
    const away = await refusalOf(as(OPERATOR).runRetention({ idempotencyKey }));
    expect(away).toMatchObject({ error: 'WORKFLOWS_UNAVAILABLE' });
    rig.world.workflowsAway = false;
    expect(await as(OPERATOR).runRetention({ idempotencyKey })).toMatchObject({ attended: false });
  });
});
