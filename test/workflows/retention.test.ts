import { randomUUID } from 'node:crypto';
import { heartbeat } from '@temporalio/activity';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { toApplicationFailure } from '../../activities/failures.ts';
import { createRetentionGateway } from '../../adapters/temporal/retention-gateway.ts';
import { ensureRetentionSchedule } from '../../adapters/temporal/schedules.ts';
import {
  RETENTION_SCHEDULE,
  RETENTION_WORKFLOW,
  type RetentionInput,
  retentionWorkflowId,
} from '../../contracts/retention.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';
import { DomainError } from '../../domain/errors.ts';
import { DEFAULT_RETENTION } from '../../domain/retention/policy.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeRetention, type FakeRetentionBehaviour, QUICK_RETENTION } from '../support/fake-retention.ts';
import { startWorkflowRig } from '../support/workflow-rig.ts';

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());
afterEach(async () => {
  for (const isDryRun of [false, true]) {
    await rig.client.workflow
      .getHandle(retentionWorkflowId({ isDryRun }))
      .terminate()
      .catch(() => undefined);
  }
});

const gateway = () => createRetentionGateway({ client: rig.client, timing: QUICK_RETENTION, answerMs: 20_000 });
const aRequest = (isDryRun = false) => ({ runId: randomUUID(), isDryRun, actorUserId: randomUUID() });

/** Runs once to its end. */
async function runOnce(behaviour: FakeRetentionBehaviour, request = aRequest()) {
  const fake = createFakeRetention(behaviour);
  await fake.whileWorking(rig, async () => {
    expect(await gateway().runRetention(request)).toEqual({ runId: request.runId });
    await rig.client.workflow.getHandle(retentionWorkflowId(request)).result();
  });
  return fake;
}

describe('a run of retention', { timeout: 120_000 }, () => {
  it('goes through the database, then files, then nodes, and removes no image that a revision needs', async () => {
    const fake = await runOnce({ policy: { buildCacheBytes: 7 } });
    expect(fake.steps).toEqual([
      'begin',
      "sweep ''",
      "sweep 'second'",
      "contexts after ''",
      "contexts after 'f'",
      'record contexts',
      'node-a removes sha256:2',
      'record images of node-a',
      'record orphans of node-a',
      'node-a keeps 7 of its cache',
      'record build-cache of node-a',
      'end',
    ]);
    expect(fake.linesOf('images', 'node-a')).toEqual([
      { reason: 'used by a container', count: 1, bytes: null },
      { reason: 'needed by a revision that stays', count: 1, bytes: null },
      { reason: '', count: 1, bytes: 50 },
    ]);
    expect(fake.linesOf('contexts', '')?.[0]).toEqual({ reason: '', count: 2, bytes: 20 });
    expect(fake.linesOf('build-cache', 'node-a')).toEqual([{ reason: '', count: 3, bytes: 30 }]);
  });

  it('leaves the build cache alone unless it is told a size', async () => {
    expect((await runOnce({})).records.map(({ kind }) => kind)).toEqual(['contexts', 'images', 'orphans']);
  });

  it('records what no record owns before it goes, by id, and what became of it', async () => {
    const orphans = { orphans: ['c1', 'c2'], spared: { c2: 'a record has come for it' } };
    const { steps, linesOf } = await runOnce(orphans);
    const ofOrphans = (step: string) => /\bc[12]\b/.test(step);
    expect(steps.filter(ofOrphans)).toEqual([
      ...['c1 is decided', 'c2 is decided', 'node-a removes c1 c2'],
      ...['c1 is removed', 'c2 is spared: a record has come for it'],
    ]);
    expect(linesOf('orphans', 'node-a')).toEqual([
      { reason: 'recorded', count: 2, bytes: null },
      { reason: '', count: 1, bytes: null },
      { reason: 'a record has come for it', count: 1, bytes: null },
    ]);
    const dry = await runOnce(orphans, aRequest(true));
    expect(dry.steps.filter(ofOrphans)).toEqual(['c1 is would-go', 'c2 is would-go']);
    expect(dry.linesOf('orphans', 'node-a')?.at(-1)).toEqual({ reason: '', count: 2, bytes: null });
  });

  it('only counts when it is dry', async () => {
    const { steps } = await runOnce({}, aRequest(true));
    expect(steps.filter((step) => /begin|node-a (counts|removes)/.test(step))).toEqual([
      'begin dry',
      'node-a counts sha256:2',
    ]);
  });

  it('holds nobody up for a node that is lost, frozen, or falls silent in the middle: each is told of', async () => {
    const { promise: frozen, resolve: thaw } = Promise.withResolvers<void>();
    const fake = createFakeRetention({
      nodes: { a: '', b: 'the node is lost: it gave no sign of life', c: '', d: '', e: '' },
      silent: ['c'],
      onSurvey: (nodeId) => (nodeId === 'd' ? frozen : Promise.resolve()),
    });
    const request = aRequest();
    await fake.whileWorking(rig, async () => {
      await gateway().runRetention(request);
      await rig.client.workflow.getHandle(retentionWorkflowId(request)).result().finally(thaw);
    });
    const order = fake.steps.filter((step) => step.startsWith('record images of'));
    expect(order.slice(0, 3).toSorted()).toEqual(['a', 'b', 'e'].map((id) => `record images of ${id}`));
    expect(order.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e'].map((id) => `record images of ${id}`));
    const reasons = ['b', 'c', 'd'].map((id) => fake.linesOf('images', id)?.at(-1)?.reason);
    expect(reasons).toEqual([
      'not looked at: the node is lost: it gave no sign of life',
      'not looked at: the step surveyImages was not picked up in time',
      'not looked at: the step surveyImages gave no sign of life in time',
    ]);
    expect(fake.steps.at(-1)).toBe('end');
  });

  it('does the rest when one part cannot be done, and says so at its end', async () => {
    const broken = async () => {
      throw toApplicationFailure(new DomainError('INVALID_ARGUMENT', 'place: is unknown; allowed is another'));
    };
    const fake = await runOnce({ onSweep: broken, onContexts: broken });
    expect(fake.steps.at(-1)).toBe('end: database: place: is unknown; allowed is another');
    expect(fake.linesOf('contexts', '')?.at(-1)?.reason).toContain('not looked at: place: is unknown');
    expect(fake.linesOf('images', 'node-a')?.at(-1)).toMatchObject({ count: 1, bytes: 50 });
  });

  it('goes on where it stood after continue-as-new', async () => {
    const fake = createFakeRetention({ nodes: { a: '', b: '' } });
    const policy = DEFAULT_RETENTION;
    const carried = { policy, database: 'second', contexts: null, nodes: 'a', errors: ['contexts: before'] };
    const input: RetentionInput = { ...aRequest(), timing: QUICK_RETENTION, carried };
    await fake.whileWorking(rig, async () => {
      const options = { workflowId: retentionWorkflowId(input), taskQueue: CONTROL_QUEUE, args: [input] };
      await rig.client.workflow.execute(RETENTION_WORKFLOW, options);
    });
    expect(fake.steps).toEqual([
      ...["sweep 'second'", 'b removes sha256:2', 'record images of b', 'record orphans of b'],
      'end: contexts: before',
    ]);
  });

  it('that has ended is not done again for the same request', async () => {
    const fake = createFakeRetention();
    const request = aRequest();
    const begunAndEnded = () => fake.steps.filter((step) => /^(begin|end)/.test(step));
    await fake.whileWorking(rig, async () => {
      for (let times = 0; times < 2; times += 1) {
        await gateway().runRetention(request);
        await rig.client.workflow.getHandle(retentionWorkflowId(request)).result();
        expect(begunAndEnded()).toEqual(['begin', 'end']);
      }
      const input: RetentionInput = { ...request, timing: QUICK_RETENTION };
      const options = { workflowId: retentionWorkflowId(request), taskQueue: CONTROL_QUEUE, args: [input] };
      await rig.client.workflow.execute(RETENTION_WORKFLOW, options);
    });
    expect(begunAndEnded()).toEqual(['begin', 'end', 'begin']);
  });
});

describe('several who want retention', { timeout: 120_000 }, () => {
  it('attend one run, and a dry one beside it', async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const fake = createFakeRetention({ onSweep: () => beatingUntil(held) });
    const [first, second, dry] = [aRequest(), aRequest(), aRequest(true)];
    await fake.whileWorking(rig, async () => {
      expect(await gateway().runRetention(first)).toEqual({ runId: first.runId });
      expect(await gateway().runRetention(second)).toEqual({ runId: first.runId });
      expect(await gateway().runRetention(dry)).toEqual({ runId: dry.runId });
      release();
      for (const request of [first, dry]) {
        await rig.client.workflow.getHandle(retentionWorkflowId(request)).result();
      }
    });
    expect([...fake.ended.keys()].toSorted()).toEqual([first.runId, dry.runId].toSorted());
  });

  it('include the schedule, which is made once, stays paused when somebody has paused it, and starts a run', async () => {
    const schedule = { hour: 3, timing: QUICK_RETENTION };
    await Promise.all([1, 2, 3].map(() => ensureRetentionSchedule(rig.client, schedule)));
    const handle = rig.client.schedule.getHandle(RETENTION_SCHEDULE);
    await handle.pause('while we look');
    await ensureRetentionSchedule(rig.client, { ...schedule, hour: 4 });
    const { spec, state, policies, action } = await handle.describe();
    expect(spec.calendars?.[0]?.hour).toEqual([{ start: 4, end: 4, step: 1 }]);
    expect(state).toMatchObject({ paused: true, note: 'while we look' });
    expect(policies).toMatchObject({ overlap: 'SKIP', catchupWindow: 12 * 3_600_000 });
    expect(action).toMatchObject({ type: 'startWorkflow', workflowType: 'retentionDue' });
    await handle.unpause();

    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const fake = createFakeRetention({ onSweep: () => beatingUntil(held) });
    await fake.whileWorking(rig, async () => {
      const request = aRequest();
      await gateway().runRetention(request);
      await handle.trigger();
      const attending = await eventually(async () => {
        const [attended] = (await handle.describe()).info.recentActions;
        if (attended?.action.type !== 'startWorkflow') throw new Error('not triggered yet');
        return attended.action.workflow.workflowId;
      });
      await rig.client.workflow.getHandle(attending).result();
      expect(fake.steps).toEqual(['begin']);
      release();
      await rig.client.workflow.getHandle(retentionWorkflowId(request)).result();

      await handle.trigger();
      await eventually(() => expect(fake.ended.size).toBe(2));
    });
    await handle.delete();
  });
});

/** A page that takes as long as a test wants, with signs of life. */
async function beatingUntil(released: Promise<void>): Promise<void> {
  const beat = setInterval(() => heartbeat(), 200);
  await released.finally(() => clearInterval(beat));
}
