import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { BuildReport } from '../../activities/build-reporter.ts';
import { type BuildLine, streamBuildLog } from '../../api/logs/stream-build-log.ts';
import { KEPT_LOG } from '../../domain/build-log.ts';
import { aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aTenant, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { findLoggedBuilds, readLogChunk } from './build-logs.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { listEvents } from './events.ts';
import { findHeldService } from './held-service.ts';
import { reportBuild } from './report-build.ts';

const database = useTestDatabase();

beforeEach(async () => {
  await withoutNodes(database.db);
});

/** A deployment whose image is being built, and what its node reports. */
async function aBuild() {
  const { db } = database;
  const nodeId = await aReadyNode(db);
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  const store = createDeploymentStore(db, { domain: 'example.test', placement });
  const source = { kind: 'dockerfile', contextSha256: 'c'.repeat(64), dockerfilePath: 'Dockerfile' } as const;
  const creation = aCreation(await aTenant(db), { createAs: `app-${randomUUID()}`, spec: aSpec({ source }) });
  const { deploymentId } = creation;
  const ref = { deploymentId, operationId: (await store.storeOperation(creation)).operationId };
  await store.beginRollout(ref);
  const report = (changes: Partial<BuildReport & { nodeId: string }> = {}) =>
    reportBuild(db, {
      ...{ deploymentId, revision: 1, service: 'app', nodeId, epoch: 0, attempt: 1_000, phase: 'building' },
      ...{ firstNumber: 1, lines: [], complete: false, ...changes },
    });
  const events = async () => {
    const all = await listEvents(db, { deploymentId, afterSequence: 0, limit: 100 });
    return all.filter(({ kind }) => kind.startsWith('build.')).map(({ kind, message }) => `${kind}: ${message}`);
  };
  /** What a reader gets who does not follow. */
  const read = async (after = 0): Promise<BuildLine[]> => {
    const deps = {
      findBuilds: (revision: number) => findLoggedBuilds(db, { deploymentId, revision }),
      readChunk: (build: { revision: number; service: string }, last: number) =>
        readLogChunk(db, { deploymentId, ...build, after: last }),
      subscribe: () => () => undefined,
      heartbeatMs: 1_000,
    };
    const lines: BuildLine[] = [];
    const wanted = { revision: 0, service: '', after, follow: false };
    for await (const line of streamBuildLog(deps, wanted, new AbortController().signal)) if (line) lines.push(line);
    return lines;
  };
  const texts = async (after = 0) => (await read(after)).map(({ number, text }) => `${number} ${text}`);
  return { db, store, ref, nodeId, deploymentId, report, events, read, texts };
}

const printed = (...texts: string[]) => texts.map((text, index) => ({ atMs: 1_000 + index, text }));

describe('the log of a build', () => {
  it('is numbered, and no report adds anything a second time', async () => {
    const { report, texts } = await aBuild();
    const first = { firstNumber: 1, lines: printed('a', 'b') };
    expect(await report(first)).toBe(true);
    expect(await report(first)).toBe(true);
    await report({ firstNumber: 2, lines: printed('b', 'c') });
    await report({ firstNumber: 1, lines: printed('a', 'b', 'c', 'd') });
    expect(await texts()).toEqual(['1 a', '2 b', '3 c', '4 d']);
    expect(await texts(2)).toEqual(['3 c', '4 d']);
    expect(await texts(4)).toEqual([]);
  });

  it('says where lines were left out, in place of the last of them', async () => {
    const { report, read } = await aBuild();
    await report({ firstNumber: 1, lines: printed('a') });
    await report({ firstNumber: 1_235, lines: printed('b') });
    expect(await read()).toMatchObject([
      { number: 1, text: 'a', remark: false },
      { number: 1_234, text: '1,233 lines are left out here', remark: true },
      { number: 1_235, text: 'b', remark: false, revision: 1, service: 'app' },
    ]);
    expect(await read(1_234)).toMatchObject([{ number: 1_235 }]);
  });

  it('goes on behind a remark when the build begins again, and hears nothing more of the attempt before', async () => {
    const { report, texts, events } = await aBuild();
    await report({ firstNumber: 1, lines: printed('a', 'b') });
    expect(await report({ attempt: 2_000, firstNumber: 1, lines: printed('a again') })).toBe(true);
    expect(await report({ attempt: 1_000, firstNumber: 3, lines: printed('late') })).toBe(false);
    await report({ attempt: 2_000, firstNumber: 2, lines: printed('b again') });
    expect(await texts()).toEqual([
      ...['1 a', '2 b', '3 the build was interrupted and begins again: attempt 2', '4 a again', '5 b again'],
    ]);
    expect(await events()).toEqual([
      expect.stringMatching(/^build\.started: building the image on node-\w+$/),
      expect.stringMatching(/^build\.started: building the image on node-\w+ again, attempt 2$/),
    ]);
  });

  it('keeps the head and the tail of one that is long, within its bounds', async () => {
    const { report, read, db, deploymentId } = await aBuild();
    const line = 'x'.repeat(1_000);
    let number = 1;
    for (let count = 0; count < 70; count += 1) {
      await report({ firstNumber: number, lines: printed(...Array.from({ length: 250 }, () => line)) });
      number += 250;
    }
    const lines = await read();
    const numbers = lines.map((one) => one.number);
    expect(numbers.slice(0, 5_000)).toEqual(Array.from({ length: 5_000 }, (_, index) => index + 1));
    expect(numbers.at(-1)).toBe(number - 1);
    expect(lines.filter(({ remark }) => remark)).toMatchObject([{ text: expect.stringMatching(/lines are left out/) }]);
    const { bytes } = await db
      .selectFrom('build_log_chunks')
      .select((eb) => eb.fn.sum<number>('size_bytes').as('bytes'))
      .where('deployment_id', '=', deploymentId)
      .executeTakeFirstOrThrow();
    expect(Number(bytes)).toBeLessThanOrEqual(KEPT_LOG.head.bytes + KEPT_LOG.tail.bytes);
    expect(Number(bytes)).toBeGreaterThan(0.9 * (KEPT_LOG.head.bytes + KEPT_LOG.tail.bytes));
  });

  it('counts lines too, so that short ones do not fill the table', async () => {
    const { report, read } = await aBuild();
    for (let number = 1; number <= 130_000; number += 2_000) {
      await report({ firstNumber: number, lines: printed(...Array.from({ length: 2_000 }, () => '')) });
    }
    const lines = await read();
    expect(lines.length).toBeLessThanOrEqual(KEPT_LOG.head.lines + KEPT_LOG.tail.lines + 1);
    expect(lines.length).toBeGreaterThan(90_000);
    expect(lines.at(-1)?.number).toBe(130_000);
  });

  it('is told by the node that builds, and by no other', async () => {
    const { report, texts, db } = await aBuild();
    const other = await aReadyNode(db);
    await expect(report({ nodeId: other, lines: printed('forged') })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(report({ revision: 2, lines: printed('forged') })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(report({ service: 'web', lines: printed('forged') })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await texts()).toEqual([]);
  });

  it('goes with its deployment', async () => {
    const { report, store, ref, db, deploymentId } = await aBuild();
    await report({ lines: printed('a') });
    await store.purgeDeployment({ ...ref, unreachableReplicas: [], unreachableNodes: [] });
    const left = await db
      .selectFrom('build_log_chunks')
      .where('deployment_id', '=', deploymentId)
      .selectAll()
      .execute();
    expect(left).toEqual([]);
    await expect(report({ firstNumber: 2, lines: printed('b') })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a build', () => {
  it('says that it waits, then that it goes on, each once', async () => {
    const { report, events } = await aBuild();
    for (const phase of ['waiting', 'waiting', 'building', 'building'] as const) await report({ phase });
    expect(await events()).toEqual([
      expect.stringMatching(/^build\.waiting: waiting for a build slot on node-/),
      expect.stringMatching(/^build\.started: building the image on node-/),
    ]);
  });

  it.each(['failed', 'cancelled'] as const)('that %s is over with its operation', async (end) => {
    const { report, store, ref, texts, db, deploymentId } = await aBuild();
    await report({ lines: printed('a') });
    const code = end === 'failed' ? 'BUILD_FAILED' : 'CANCELLED';
    await store.failOperation({ ...ref, failure: { code, message: 'it is over', hint: '' } });
    expect(await findLoggedBuilds(db, { deploymentId, revision: 0 })).toMatchObject([
      { revision: 1, service: 'app', isOver: true, isComplete: false },
    ]);
    const { state } = await db.selectFrom('builds').select('state').executeTakeFirstOrThrow();
    expect(state).toBe(end);
    await report({ firstNumber: 2, lines: printed('its last words'), complete: true });
    expect(await texts()).toEqual(['1 a', '2 its last words']);
    expect(await findLoggedBuilds(db, { deploymentId, revision: 1 })).toMatchObject([{ isComplete: true }]);
  });

  it('that succeeded keeps where its image was pushed to', async () => {
    const { store, ref, db } = await aBuild();
    const reference = `registry.test/app@sha256:${'d'.repeat(64)}`;
    await store.recordBuild({ ...ref, service: 'app', revision: 1, imageId: `sha256:${'b'.repeat(64)}`, reference });
    expect(await db.selectFrom('builds').select(['state', 'reference']).execute()).toEqual([
      { state: 'succeeded', reference },
    ]);
  });

  it('lets its node read the variables, whose values must not get into the log', async () => {
    const { db, nodeId, deploymentId } = await aBuild();
    const other = await aReadyNode(db);
    await db.deleteFrom('replicas').where('deployment_id', '=', deploymentId).execute();
    const held = { deploymentId, revision: 1, service: 'app' };
    expect(await findHeldService(db, { ...held, nodeId })).toBeDefined();
    expect(await findHeldService(db, { ...held, nodeId: other })).toBeUndefined();
  });
});
