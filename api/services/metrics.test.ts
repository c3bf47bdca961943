import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, createClient, createRouterTransport } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { DomainError } from '../../domain/errors.ts';
import {
  type ContainerSample,
  ContainerSampleSchema,
  MetricsResolution,
  MetricsService,
} from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import type { Streamers } from '../gateways/streamers.ts';
import { createErrorInterceptor } from '../interceptors/errors.ts';
import type { NodeRound } from '../metrics/merge-ticks.ts';
import { createReaders } from '../metrics/readers.ts';
import { createNoStoredMetrics } from '../metrics/stored-metrics.ts';
import { createMetricsService, type MetricsDeps } from './metrics.ts';

const DEPLOYMENT = '00000000-0000-4000-8000-000000000001';
const NOW_MS = 1_000_000;

function aSample(nodeId: string, changes: { atMs?: number; replicaId?: string } = {}): ContainerSample {
  const { atMs = NOW_MS, replicaId = `of ${nodeId}` } = changes;
  return create(ContainerSampleSchema, { at: timestampFromMs(atMs), nodeId, replicaId, deploymentId: DEPLOYMENT });
}

function open(
  nodes: Readonly<Record<string, readonly ContainerSample[] | 'silent'>> | undefined,
  changes: Partial<MetricsDeps> = {},
) {
  const streamers: Streamers = {
    latest: async ({ nodeId }) => {
      const answer = nodes?.[nodeId];
      if (!answer || answer === 'silent') throw new DomainError('STREAMER_UNAVAILABLE', 'no answer');
      return answer;
    },
    past: async ({ nodeId }) => {
      const answer = nodes?.[nodeId];
      if (!answer || answer === 'silent') throw new DomainError('STREAMER_UNAVAILABLE', 'no answer');
      return answer;
    },
    stream: async function* ({ nodeId }, _, signal): AsyncGenerator<NodeRound> {
      const answer = nodes?.[nodeId];
      if (answer && answer !== 'silent') {
        yield { samples: answer, missedRounds: 2, isPast: true, intervalMs: 5_000 };
      }
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
    observe: () => Promise.reject(new Error('not asked here')),
    countsRequests: async () => false,
  };
  const service = createMetricsService({
    findPlaces: async (deploymentId) =>
      nodes && deploymentId === DEPLOYMENT
        ? Object.keys(nodes).map((nodeId) => ({
            ...{ nodeId, streamerUrl: 'http://example.test', holdsReplicas: true, replicaIds: [] },
          }))
        : undefined,
    findReplicaIds: async () => [],
    stored: createNoStoredMetrics(),
    readers: createReaders(),
    readKept: async () => ({ live: 300_000, minute: 86_400_000 }),
    patience: { maxRounds: 100, slowAfterMs: 5_000, stuckAfterMs: 60_000 },
    subscribe: () => () => undefined,
    streamers,
    heartbeatMs: 60_000,
    now: () => new Date(NOW_MS),
    ...changes,
  });
  const transport = createRouterTransport((router) => router.service(MetricsService, service), {
    router: { interceptors: [createErrorInterceptor(createLog({ role: 'test', level: 'silent' }))] },
  });
  return createClient(MetricsService, transport);
}

describe('the newest metrics', () => {
  it('are one sample a replica, from the nodes that answer', async () => {
    const old = aSample('a', { atMs: NOW_MS - 5_000 });
    const client = open({ a: [old, aSample('a')], b: [aSample('b')], c: 'silent' });
    const { samples } = await client.getLatestMetrics({ deploymentId: DEPLOYMENT.toUpperCase() });
    expect(samples).toEqual([aSample('a'), aSample('b')]);
  });

  it('leave out a replica that has not been sampled for a minute', async () => {
    const client = open({ a: [aSample('a', { atMs: NOW_MS - 60_001 })] });
    expect((await client.getLatestMetrics({ deploymentId: DEPLOYMENT })).samples).toEqual([]);
  });

  it('are nothing for a deployment without replicas, and unavailable when no node answers', async () => {
    expect((await open({}).getLatestMetrics({ deploymentId: DEPLOYMENT })).samples).toEqual([]);
    const refused = open({ a: 'silent' }).getLatestMetrics({ deploymentId: DEPLOYMENT });
    await expect(refused).rejects.toMatchObject({ code: Code.Unavailable });
  });
});

describe('a query of metrics', () => {
  it.each([
    [48, MetricsResolution.MINUTE],
    [24, MetricsResolution.HOUR],
  ])(
    'of 30 hours ago is answered in what is kept of the deployment, where minutes are for %d hours',
    async (hours, resolution) => {
      const nothing = async () => [];
      const client = open(
        {},
        {
          readKept: async (deploymentId) => ({
            live: 300_000,
            minute: deploymentId === DEPLOYMENT ? hours * 3_600_000 : 0,
          }),
          stored: { listMinutes: nothing, listHours: nothing, listRequestMinutes: nothing },
          now: () => new Date(NOW_MS + 48 * 3_600_000),
        },
      );
      const start = timestampFromMs(NOW_MS + 18 * 3_600_000);
      const answer = await client.queryMetrics({ deploymentId: DEPLOYMENT.toUpperCase(), start });
      expect(answer.resolution).toBe(resolution);
    },
  );
});

describe('the stream of metrics', () => {
  it('carries the samples and what was missed', async () => {
    for await (const message of open({ a: [aSample('a')] }).streamMetrics({ deploymentId: DEPLOYMENT })) {
      expect(message).toMatchObject({ samples: [aSample('a')], missedRounds: 2n });
      break;
    }
  });

  it('does not begin for a deployment that does not exist', async () => {
    const stream = open(undefined).streamMetrics({ deploymentId: DEPLOYMENT });
    await expect(Array.fromAsync(stream)).rejects.toMatchObject({ code: Code.NotFound });
  });

  it('does not begin behind a cursor that is none', async () => {
    const stream = open({}).streamMetrics({ deploymentId: DEPLOYMENT, cursor: 'a=!!' });
    await expect(Array.fromAsync(stream)).rejects.toMatchObject({ code: Code.InvalidArgument });
  });
});
