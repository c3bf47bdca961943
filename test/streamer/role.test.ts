import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { openMetricsSpool } from '../../adapters/node-files/metrics-spool.ts';
import { openMetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { createControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { generateControlKey } from '../../adapters/tokens/keys.ts';
import { createStreamers } from '../../api/gateways/streamers.ts';
import { isContainer } from '../../api/metrics/stream-metrics.ts';
import type { ContainerSample } from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import type { RunningRole } from '../../workers/run-role.ts';
import { startStreamer } from '../../workers/streamer.ts';
import { type FaultProxy, socketPathOf, startFaultProxy } from '../faults/fault-proxy.ts';
import { adminUrlOfRun } from '../support/database.ts';
import { DOCKER_SOCKET, openTestDocker, type TestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { startReplica } from '../support/metered.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/postgres.ts';
import { aSample } from '../support/samples.ts';

const NODE = 'node-of-this-test';
const DEPLOYMENT = aSample().deploymentId;
const BUSY = ['sh', '-c', 'while :; do :; done'];

const log = createLog({ role: 'test', level: 'silent' });
const signer = createControlTokenSigner(generateControlKey().privateJwk);
const streamers = createStreamers({ signer });

/** What a streamer that has stopped left behind. */
function spoolOf(folder: string) {
  return openMetricsSpool({
    ...{ path: join(folder, 'state', 'metrics-spool.db'), formerFile: join(folder, 'none'), maxBytes: 1e9 },
    ...{ now: Date.now, onUnusable: () => undefined, onDropped: () => undefined },
  });
}

describe('the role streamer', () => {
  let folder: string;
  let corner: TestDocker;
  let proxy: FaultProxy;
  let database: TestDatabase;
  let environment: Record<string, string>;
  let role: RunningRole;
  let streamer: { nodeId: string; streamerUrl: string };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'obiente-streamer-'));
    corner = await openTestDocker();
    proxy = await startFaultProxy({ to: { socketPath: DOCKER_SOCKET }, unit: 'connection' });
    database = await createEmptyDatabase(adminUrlOfRun());
    const port = await freePort();
    streamer = { nodeId: NODE, streamerUrl: `http://127.0.0.1:${port}` };
    environment = {
      OBIENTE_INSTANCE: corner.instance,
      OBIENTE_STATE_DIR: join(folder, 'state'),
      NODE_KEY_DIR: join(folder, 'node'),
      STREAMER_GATEWAY_PORT: String(port),
      DOCKER_SOCKET: socketPathOf(proxy),
      METRICS_DATABASE_URL: database.url,
      METRICS_COLLECTION_INTERVAL: '100ms',
      METRICS_STORAGE_INTERVAL: '1s',
      METRICS_HEALTH_CHECK_INTERVAL: '100ms',
      METRICS_SUBSCRIBER_BUFFER_SIZE: '4',
      METRICS_SUBSCRIBER_SLOW_THRESHOLD: '500ms',
    };
    role = await startStreamer(environment, log);
  });

  afterAll(async () => {
    await role?.stop();
    await corner.remove();
    await proxy.stop();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  const latest = () => streamers.latest(streamer, DEPLOYMENT, AbortSignal.timeout(5_000));
  const observe = () => streamers.observe(streamer, AbortSignal.timeout(5_000));

  async function streamed(count: number, afterMs?: number): Promise<ContainerSample[]> {
    const found: ContainerSample[] = [];
    const leave = new AbortController();
    for await (const { samples } of streamers.stream(streamer, { deploymentId: DEPLOYMENT, afterMs }, leave.signal)) {
      found.push(...samples.filter(isContainer));
      if (found.length >= count) break;
    }
    leave.abort();
    return found;
  }

  it('waits for the node to have an id and the control plane’s keys, and then takes calls', async () => {
    await expect(observe()).rejects.toMatchObject({ code: 'STREAMER_UNAVAILABLE' });
    await writeFile(join(folder, 'node', 'node-id'), `${NODE}\n`);
    await writeFile(join(folder, 'node', 'control-jwks.json'), signer.publicJwks);
    await eventually(async () => expect(await observe()).toMatchObject({ healthy: true }));
    await eventually(async () => expect((await observe()).collection_count).toBeGreaterThan(1));
    expect(await observe()).toMatchObject({ collection_errors: 0, containers_processed: 0 });
  });

  it('takes no call for another streamer, nor without a token', async () => {
    const other = createStreamers({ signer: { ...signer, sign: () => signer.sign({ audience: 'streamer:other' }) } });
    await expect(other.observe(streamer, AbortSignal.timeout(5_000))).rejects.toMatchObject({
      cause: { rawMessage: expect.stringContaining('token') },
    });
    const nobody = createStreamers({ signer: { ...signer, sign: async () => 'nothing' } });
    await expect(nobody.observe(streamer, AbortSignal.timeout(5_000))).rejects.toThrow();
  });

  it('streams what a new container uses, beginning with the past when asked to', async () => {
    await startReplica(corner, { replicaId: 'r1-0', command: BUSY, cpuCores: 0.2 });
    const live = await streamed(3);
    expect(live[0]).toMatchObject({ nodeId: NODE, replicaId: 'r1-0', deploymentId: DEPLOYMENT });
    expect(live.at(-1)?.cpuPercent).toBeGreaterThan(0);
    const past = await streamed(3, 0);
    expect(past[0]?.cpuUsageNanos).toBeLessThanOrEqual(live[0]?.cpuUsageNanos ?? 0n);
    expect(new Set(past.map(({ cpuUsageNanos }) => cpuUsageNanos)).size).toBe(past.length);
  });

  it('goes on sampling while Docker is away, says that it is not well, and recovers', async () => {
    await proxy.interrupt();
    await eventually(async () => expect(await observe()).toMatchObject({ healthy: false }));
    const before = await observe();
    const [sample] = await latest();
    await eventually(async () =>
      expect((await latest())[0]?.cpuUsageNanos).toBeGreaterThan(sample?.cpuUsageNanos ?? 0n),
    );
    expect((await observe()).containers_failed).toBe(before.containers_failed);
    await proxy.resume();
    await eventually(async () => expect(await observe()).toMatchObject({ healthy: true, consecutive_failures: 0 }));
    await startReplica(corner, { replicaId: 'r1-1', command: ['sleep', '3600'] });
    await eventually(async () => expect(await latest()).toHaveLength(2));
  });

  it('conflates for a caller that does not read, while others get every round', async () => {
    const session = connect(streamer.streamerUrl, { settings: { initialWindowSize: 0 } });
    const message = Buffer.from(JSON.stringify({ deploymentId: DEPLOYMENT }));
    const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
    const stuck = session.request({
      ':method': 'POST',
      ':path': '/obiente.internal.v1.StreamerGatewayService/StreamSamples',
      'content-type': 'application/connect+json',
      authorization: `Bearer ${await signer.sign({ audience: `streamer:${NODE}` })}`,
    });
    stuck.on('error', () => undefined);
    stuck.end(frame);
    await eventually(async () => expect((await observe()).active_subscribers).toBe(1));
    const whole = await streamed(8);
    const times = whole.filter(({ replicaId }) => replicaId === 'r1-0').map(({ at }) => `${at?.seconds}.${at?.nanos}`);
    expect(new Set(times).size).toBe(times.length);
    await eventually(async () => {
      const { active_subscribers, slow_subscribers, subscriber_overflows } = await observe();
      expect({ active_subscribers, slow_subscribers }).toEqual({ active_subscribers: 1, slow_subscribers: 1 });
      expect(subscriber_overflows).toBeGreaterThan(0);
    });
    stuck.close();
    session.close();
    await eventually(async () => expect((await observe()).active_subscribers).toBe(0));
  });

  it('stores rows that add up to what the kernel counted, over its own restart', async () => {
    const [id] = [(await latest()).find(({ replicaId }) => replicaId === 'r1-0')?.containerId ?? ''];
    await eventually(async () => expect((await observe()).storage_metrics_written).toBeGreaterThan(3));
    await role.stop();
    role = await startStreamer(environment, log);
    await eventually(async () => expect((await observe()).storage_metrics_written).toBeGreaterThan(3));
    await role.stop();

    const db = openMetricsDatabase(database.url);
    const { total } = await db
      .selectFrom('container_metrics')
      .select((eb) => eb.fn.sum<string>('cpu_nanos').as('total'))
      .innerJoin('metric_series', 'metric_series.id', 'container_metrics.series_id')
      .where('container_id', '=', id)
      .executeTakeFirstOrThrow();
    await db.destroy();
    const spool = spoolOf(folder);
    const open = spool.state()?.open.find(({ containerId }) => containerId === id);
    expect(spool.size().rows).toBe(0);
    spool.close();
    expect(Number(total) + (open?.used.cpuNanos ?? 0)).toBe(open?.counters.cpuNanos);
    role = await startStreamer(environment, log);
  });

  it('keeps rows while the database is away, and stops in order all the same', async () => {
    await role.stop();
    const away = { ...environment, METRICS_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' };
    role = await startStreamer(away, log);
    await eventually(async () => expect((await observe()).retry_queue_size).toBeGreaterThan(0));
    const { storage_metrics_failed: lost } = await observe();
    await role.stop();
    expect(lost).toBe(0);
    const spool = spoolOf(folder);
    expect(spool.size().rows).toBeGreaterThan(0);
    spool.close();
    role = await startStreamer(environment, log);
    await eventually(async () => expect((await observe()).storage_metrics_written).toBeGreaterThan(0));
  });
});
