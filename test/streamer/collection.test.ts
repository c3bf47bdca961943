import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createCgroupSource } from '../../adapters/cgroup/cgroup-source.ts';
import { createDockerConnection } from '../../adapters/docker/connection.ts';
import { createDockerContainers } from '../../adapters/docker/containers.ts';
import { createDockerEvents } from '../../adapters/docker/events.ts';
import { createDockerMeteredContainers } from '../../adapters/docker/metered-containers.ts';
import { createDockerStatsSource } from '../../adapters/docker/stats.ts';
import type { MeteredContainer, Sample } from '../../domain/metrics/reading.ts';
import { createDiscovery } from '../../streamer/discovery.ts';
import { createDockerGate } from '../../streamer/gate.ts';
import { type ReadingSource, SYSTEM_CLOCK } from '../../streamer/ports.ts';
import { createSampler } from '../../streamer/sampler.ts';
import { type FaultProxy, socketPathOf, startFaultProxy } from '../faults/fault-proxy.ts';
import { DOCKER_SOCKET, openTestDocker, type TestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica } from '../support/metered.ts';

const IDLE = ['sleep', '3600'];
const ROUND_MS = 4_500;

describe('collection from a real daemon', () => {
  let corner: TestDocker;
  let proxy: FaultProxy;
  const ids: string[] = [];

  beforeAll(async () => {
    corner = await openTestDocker();
    proxy = await startFaultProxy({ to: { socketPath: DOCKER_SOCKET }, unit: 'http' });
    for (let index = 0; index < 4; index += 1) {
      ids.push(await startReplica(corner, { replicaId: `r1-${index}`, command: IDLE }));
    }
  });
  afterAll(async () => {
    await proxy.stop();
    await corner.remove();
  });
  const undo: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of undo.splice(0)) await step();
  });

  const connect = () => createDockerConnection({ socketPath: socketPathOf(proxy), requestTimeoutMs: 3_000 });

  function openGate(maxRetries: number) {
    return createDockerGate({
      breaker: { failureThreshold: 5, cooldownMs: 300, halfOpenSuccesses: 3 },
      retry: { maxRetries, initialPauseMs: 50, maxPauseMs: 200 },
      clock: SYSTEM_CLOCK,
      random: Math.random,
    });
  }

  function openSampler(options: { maxRetries?: number; deadlineMs?: number; source?: ReadingSource } = {}) {
    const gate = openGate(options.maxRetries ?? 0);
    const deadlineMs = () => options.deadlineMs ?? ROUND_MS;
    const portable = createDockerStatsSource(connect(), { gate: gate.pass, maxWorkers: 50, deadlineMs });
    const sampler = createSampler({ source: options.source ?? portable, maxWorkers: 50 });
    undo.push(sampler.close);
    return { gate, portable, sampler };
  }

  async function running(of: readonly string[] = ids): Promise<Map<string, MeteredContainer>> {
    const { findMetered } = createDockerMeteredContainers(connect(), corner.instance);
    const found = await Promise.all(of.map(findMetered));
    return new Map(found.flatMap((one) => (one ? [[one.id, one]] : [])));
  }

  const idsOf = (samples: readonly Sample[]) => samples.map(({ containerId }) => containerId).sort();

  it('loses only the samples of a container whose answers never come, round after round', async () => {
    const { gate, sampler } = openSampler();
    const [hung = '', ...others] = ids;
    undo.push(proxy.add({ calls: new RegExp(`${hung}/stats`), fault: { kind: 'half-open' } }));
    const containers = await running();
    for (let round = 0; round < 4; round += 1) {
      const read = await sampler.readRound(containers, 2_500);
      expect(idsOf(read.samples)).toEqual([...others].sort());
      expect(read).toMatchObject({ failed: 1, unbegun: 0 });
    }
    expect(gate.current().kind).toBe('closed');
  });

  it('makes up for calls that break off, within the same round', async () => {
    const { sampler } = openSampler({ maxRetries: 3 });
    undo.push(proxy.add({ calls: /stats/, fault: { kind: 'reset' }, oncePerCall: true }));
    expect((await sampler.readRound(await running(), ROUND_MS)).samples).toHaveLength(ids.length);
  });

  it('leaves a daemon alone that is away, and is back once it is', async () => {
    const { gate, sampler } = openSampler();
    const containers = await running();
    await proxy.interrupt();
    undo.push(proxy.resume);
    for (const _ of [1, 2, 3, 4, 5]) await sampler.readRound(containers, ROUND_MS);
    expect(gate.current().kind).toBe('open');
    const refused = await sampler.readRound(containers, ROUND_MS);
    expect(refused).toMatchObject({ failed: ids.length, samples: [] });
    await proxy.resume();
    await eventually(async () => {
      expect((await sampler.readRound(containers, ROUND_MS)).samples).toHaveLength(ids.length);
    });
    expect(gate.current().kind).toBe('closed');
  });

  it('keeps the breaker closed over a tenant’s own removals', async () => {
    const { gate, sampler } = openSampler();
    const gone = 'f'.repeat(64);
    const [one] = (await running()).values();
    if (!one) throw new Error('nothing runs');
    for (let round = 0; round < 20; round += 1) {
      const removed = { ...one, id: gone, startedAt: `2026-01-01T00:00:${String(round).padStart(2, '0')}Z` };
      expect(await sampler.readRound(new Map([[gone, removed]]), ROUND_MS)).toMatchObject({ failed: 0 });
    }
    expect(gate.current()).toEqual({ kind: 'closed', failures: 0 });
  });

  it('holds streams where calls would not end in time, opens broken ones again, and lets go of them', async () => {
    const { sampler } = openSampler({ deadlineMs: 900 });
    const containers = await running();
    const allRead = async (): Promise<void> => {
      const { samples } = await sampler.readRound(containers, 1_500);
      expect(samples).toHaveLength(ids.length);
    };
    await eventually(allRead);
    const streams = proxy.seen(/stats\?.*stream=true/);
    await eventually(allRead);
    expect(streams).toBe(ids.length);
    expect(proxy.seen(/stats\?.*stream=true/)).toBe(streams);
    await proxy.interrupt();
    await proxy.resume();
    await eventually(allRead);
    expect(proxy.seen(/stats\?.*stream=true/)).toBeGreaterThan(streams);
  });

  it('reads a new container in the next round, and no dead one', async () => {
    const connection = connect();
    const directory = {
      ...createDockerContainers(connection, { instance: corner.instance, nodeAddress: '' }),
      ...createDockerMeteredContainers(connection, corner.instance),
      ...createDockerEvents(connection, corner.instance),
    };
    const discovery = createDiscovery(directory);
    const stopping = new AbortController();
    const following = discovery.run(stopping.signal);
    undo.push(async () => {
      stopping.abort();
      await following;
    });
    const { sampler } = openSampler({ source: createCgroupSource() });
    const newest: { round: number; ids: string[] } = { round: 0, ids: [] };
    const rounds = setInterval(async () => {
      const read = await sampler.readRound(discovery.containers(), 900);
      Object.assign(newest, { round: read.number, ids: idsOf(read.samples) });
    }, 1_000);
    undo.push(() => clearInterval(rounds));
    await eventually(() => expect(newest.ids.length).toBeGreaterThan(0));

    const id = await startReplica(corner, { replicaId: 'r3-0', command: IDLE });
    const atStart = newest.round;
    await eventually(() => expect(newest.ids).toContain(id), { everyMs: 5 });
    expect(newest.round - atStart).toBeLessThanOrEqual(2);
    await corner.client.getContainer(id).kill();
    const atEnd = newest.round;
    await eventually(() => expect(newest.ids).not.toContain(id), { everyMs: 5 });
    expect(newest.round - atEnd).toBeLessThanOrEqual(2);
  });
});
