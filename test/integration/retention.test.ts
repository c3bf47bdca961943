import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { createApi } from '../../cli/client.ts';
import { fixedToken } from '../../cli/tokens.ts';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { type GetRetentionRunResponse, RetentionState } from '../../gen/obiente/cloud/v1/retention_pb.ts';
import { RestartPolicy } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { eventually } from '../support/eventually.ts';
import { askThroughIngress } from '../support/http.ts';
import { obiente, openApi, pidOf } from '../support/platform.ts';
import { refusalOf } from '../support/refusal.ts';
import { startTestRegistry } from '../support/registry.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { openTokenForge } from './access-tokens.ts';
import { aWebServer, createSubject, type Subject } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
afterAll(() => api.close());

/** Revisions of a deployment that has many. */
const REVISIONS = 25;

/** What stays of it: the two that came up, and the newest twenty. */
const KEPT = [1, 2, ...Array.from({ length: 20 }, (_, index) => index + 6)];

const key = () => ({ idempotencyKey: randomUUID() });

/** Two revisions came up, and the second one runs; all that came after them were overtaken, or failed. */
async function aLongHistory(): Promise<Subject> {
  const { image } = docker.corner;
  const subject = await createSubject(api, aWebServer(image, 'one'));
  expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
  const { id: second } = await subject.update(aWebServer(image, 'two'));
  expect(await subject.outcome(second)).toMatchObject({ state: OperationState.SUCCEEDED });
  const broken = { command: ['/bin/sh', '-c', 'exit 3'], restartPolicy: RestartPolicy.NEVER };
  let last = '';
  for (let revision = 3; revision <= REVISIONS; revision += 1) {
    ({ id: last } = await subject.update(aWebServer(image, `broken ${revision}`, broken)));
  }
  expect(await subject.outcome(last)).toMatchObject({ state: OperationState.FAILED, revision: REVISIONS });
  return subject;
}

async function revisionsOf({ id: deploymentId }: Subject): Promise<number[]> {
  const { revisions } = await api.deployments.listRevisions({ deploymentId, page: { size: 200 } });
  return revisions.map(({ number }) => number).sort((a, b) => a - b);
}

async function run({ dryRun = false } = {}): Promise<GetRetentionRunResponse> {
  const { run: begun } = await api.retention.runRetention({ ...key(), dryRun });
  return await ended(begun?.id ?? '');
}

async function ended(runId: string): Promise<GetRetentionRunResponse> {
  const report = await eventually(
    async () => {
      const answer = await api.retention.getRetentionRun({ runId, waitSeconds: 20 });
      if (answer.run?.state === RetentionState.RUNNING) throw new Error('still running');
      return answer;
    },
    { patienceMs: 180_000 },
  );
  expect(report.run).toMatchObject({ state: RetentionState.SUCCEEDED, errorMessage: '' });
  return report;
}

function removedOf({ items }: Pick<GetRetentionRunResponse, 'items'>, kind: string): bigint {
  return items.find((item) => item.kind === kind && item.reason === '')?.count ?? 0n;
}

async function bodyOf({ name }: Subject): Promise<string> {
  return (await askThroughIngress(platform.httpPort, `${name}.localhost`)).body.trim();
}

describe('retention on the whole platform', { timeout: 300_000 }, () => {
  it('keeps twenty revisions and all that run or worked; rollbacks to them work, others are refused with what is kept', async () => {
    const subject = await aLongHistory();
    const all = Array.from({ length: REVISIONS }, (_, index) => index + 1);
    expect(await revisionsOf(subject)).toEqual(all);

    const counted = await obiente(platform, 'retention', 'run', '--dry-run', '--json');
    expect(counted).toMatchObject({ code: 0 });
    expect(await revisionsOf(subject)).toEqual(all);
    const { items } = JSON.parse(counted.stdout) as { items: { kind: string; reason?: string; count: string }[] };
    const wouldGo = items.find(({ kind, reason = '' }) => kind === 'revisions' && reason === '')?.count;
    expect(Number(wouldGo)).toBeGreaterThanOrEqual(REVISIONS - KEPT.length);

    const report = await run();
    expect(String(removedOf(report, 'revisions'))).toBe(wouldGo);
    expect(await revisionsOf(subject)).toEqual(KEPT);
    expect(removedOf(await run(), 'revisions')).toBe(0n);

    const deploymentId = subject.id;
    const refused = await refusalOf(api.deployments.rollbackDeployment({ ...key(), deploymentId, toRevision: 4 }));
    expect(refused).toMatchObject({ code: 'NotFound', field: 'to_revision' });
    expect(refused.message).toContain('revision 4: it is not kept any more; kept are 1, 2 and 6 to 25');
    expect(await bodyOf(subject)).toBe('two');
    const { operation } = await api.deployments.rollbackDeployment({ ...key(), deploymentId, toRevision: 1 });
    expect(await subject.outcome(operation?.id)).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
    expect(await bodyOf(subject)).toBe('one');
    await subject.remove();
  });

  it.each(['orchestrator', 'node', 'api', 'postgres', 'temporal'])(
    'goes on when %s is killed under it',
    async (name) => {
      const killed = await pidOf(platform, name);
      const { run: begun } = await api.retention.runRetention(key());
      process.kill(killed, 'SIGKILL');
      await eventually(async () => expect(await pidOf(platform, name)).not.toBe(killed));
      const report = await eventually(async () => await ended(begun?.id ?? ''));
      expect(report.items.filter(({ reason }) => reason.startsWith('not looked at'))).toEqual([]);
    },
  );

  it('leaves a pulled image alone while a container uses it, and removes it with its bytes afterwards', async () => {
    const [port = 0] = platform.registryPorts;
    const registry = await startTestRegistry({ authenticated: false, port });
    try {
      const { client, image } = docker.corner;
      const name = `acme/app-${randomUUID().slice(0, 8)}:1.0`;
      await registry.push(client, image, { name, mark: 'pulled', bytes: 3_000_000 });
      const reference = `${registry.host}/${name}`;
      const subject = await createSubject(api, aWebServer(reference, 'pulled'));
      expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
      const during = await run();
      expect((await client.getImage(reference).inspect()).RepoTags).toContain(reference);
      expect(during.items.some(({ kind, reason }) => kind === 'images' && reason.startsWith('used by'))).toBe(true);
      const orphans = during.items.filter(({ kind }) => kind === 'orphans');
      expect(orphans.some(({ reason }) => /^(recorded|made of late)/.test(reason))).toBe(true);
      expect(await bodyOf(subject)).toBe('pulled');

      await subject.remove();
      const after = await eventually(async () => {
        const report = await run();
        if (removedOf(report, 'images') === 0n) throw new Error('the image is still there');
        return report;
      });
      await expect(client.getImage(reference).inspect()).rejects.toMatchObject({ statusCode: 404 });
      const line = after.items.find(({ kind, reason }) => kind === 'images' && reason === '');
      expect(Number(line?.bytes)).toBeGreaterThanOrEqual(3_000_000);
      expect(line?.nodeId).not.toBe('');
    } finally {
      await registry.remove(docker.corner.client);
    }
  });

  it('is for operators only, and shown by the command', async () => {
    const forge = await openTokenForge(platform);
    const tokens = fixedToken(forge.make({ claims: { sub: `stranger-${randomUUID()}` } }));
    const stranger = createApi({ url: platform.apiUrl, tokens });
    expect(await refusalOf(stranger.retention.runRetention(key()))).toMatchObject({ code: 'PermissionDenied' });
    stranger.close();
    const shown = await obiente(platform, 'retention', 'status');
    expect(shown).toMatchObject({ code: 0 });
    expect(shown.stdout).toMatch(/^RUN +KIND +OF +STATE/);
  });
});
