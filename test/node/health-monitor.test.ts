import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { NODE_LABEL, type ObservedContainer } from '../../domain/container.ts';
import { toHealthLabel } from '../../domain/health-rules.ts';
import { DEFAULT_HEALTH_CHECK, type HealthCheck } from '../../domain/spec.ts';
import { createHealthMonitor, type HealthMonitor } from '../../workers/node/health-monitor.ts';
import { aContainer } from '../support/containers.ts';

/** Where a container that listens to 8080 is asked: itself, and its published port. */
const OWN = '10.0.0.2:8080';
const PUBLISHED = '192.0.2.7:32768';

const HEALTHY = { state: 'healthy', reason: '' };

let containers: Map<string, ObservedContainer>;
let isDaemonAway: boolean;
/** Addresses that refuse connections. */
let closed: Set<string>;
/** Addresses in the order in which they were asked. */
let asked: string[];
/** Whether the daemon has lost the container from its network, and whether it can take it back. */
let isLost: boolean;
let canTakeBack: boolean;
/** How long a connection takes to be answered. */
let answerMs: number;
/** Containers whose health was said to have changed. */
let changes: string[];
let monitor: HealthMonitor;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-01-02T00:00:00Z') });
  containers = new Map();
  isDaemonAway = false;
  closed = new Set();
  asked = [];
  isLost = false;
  canTakeBack = true;
  answerMs = 0;
  changes = [];
  const knock = async ({ host, port }: { host: string; port: number }) => {
    const address = `${host}:${port}`;
    asked.push(address);
    const isClosed = closed.has(address);
    if (answerMs > 0) await new Promise((resolve) => setTimeout(resolve, answerMs));
    return isClosed ? `port ${port} refused the connection` : null;
  };
  monitor = createHealthMonitor({
    prober: { probeTcp: knock, probeHttp: knock },
    nodeAddress: '192.0.2.7',
    findContainer: async (id) => {
      if (isDaemonAway) throw new Error('docker does not answer');
      return containers.get(id);
    },
    reattach: async (id) => {
      if (!isLost) return false;
      if (!canTakeBack) throw new Error('no space left on device');
      const container = containers.get(id);
      if (container) containers.set(id, { ...container, hostPort: 40_000 });
      isLost = false;
      return true;
    },
    lookSlot: (task) => task(),
    onHealthChange: (id) => changes.push(id),
    log: createLog({ role: 'node', level: 'silent' }),
  });
});

afterEach(() => {
  monitor.stop();
  vi.useRealTimers();
});

const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

async function watch(
  check: Partial<HealthCheck> = { probe: { kind: 'automatic' } },
  changed: Partial<ObservedContainer> = {},
): Promise<ObservedContainer> {
  const plain = aContainer('a', changed);
  const label = toHealthLabel({ check: { ...DEFAULT_HEALTH_CHECK, ...check }, port: 8080 });
  const container = { ...plain, labels: { ...plain.labels, [NODE_LABEL.health]: label } };
  containers.set('a', container);
  monitor.foundHealthy(container);
  await settle();
  changes = [];
  return container;
}

describe('a replica that runs', () => {
  it('is asked itself and at its published port, once an interval', async () => {
    const container = await watch();
    await settle(DEFAULT_HEALTH_CHECK.intervalMs);
    expect(asked).toEqual([OWN, PUBLISHED]);
    expect(await monitor.observe(container)).toEqual(HEALTHY);
    expect(changes).toEqual([]);
  });

  it('is looked at as soon as the daemon is connected to, and told within a second when its port is gone', async () => {
    const container = await watch();
    closed.add(PUBLISHED);
    monitor.lookAgain();
    await settle();
    expect(await monitor.observe(container)).toEqual(HEALTHY);
    await settle(1_000);
    expect(changes).toEqual(['a']);
    expect(await monitor.observe(container)).toEqual({
      state: 'unhealthy',
      reason: 'it answers, and its published port on 192.0.2.7 does not: port 32768 refused the connection',
    });
  });

  it('is healthy again with its port, looked for at growing pauses and at least once an interval', async () => {
    const container = await watch();
    closed.add(PUBLISHED);
    monitor.lookAgain();
    await settle(1_000);
    asked = [];
    await settle(5 * DEFAULT_HEALTH_CHECK.intervalMs);
    const looks = asked.filter((address) => address === PUBLISHED).length;
    expect(looks).toBeGreaterThanOrEqual(5);
    expect(looks).toBeLessThanOrEqual(12);
    closed.clear();
    await settle(DEFAULT_HEALTH_CHECK.intervalMs);
    expect(changes).toEqual(['a', 'a']);
    expect(await monitor.observe(container)).toEqual(HEALTHY);
  });

  it('is healthy at once when its daemon comes back with its port', async () => {
    const container = await watch();
    closed.add(PUBLISHED);
    monitor.lookAgain();
    await settle(1_000);
    closed.clear();
    monitor.lookAgain();
    await settle();
    expect(await monitor.observe(container)).toEqual(HEALTHY);
  });

  it('is given its network back where the daemon has lost it, once there is room, and its new port is told', async () => {
    await watch();
    isLost = true;
    canTakeBack = false;
    closed.add(PUBLISHED);
    monitor.lookAgain();
    await settle(10_000);
    expect(changes).toEqual(['a']);
    canTakeBack = true;
    await settle(DEFAULT_HEALTH_CHECK.intervalMs);
    expect(changes).toEqual(['a', 'a', 'a']);
    expect(asked.at(-1)).toBe('192.0.2.7:40000');
    const container = containers.get('a');
    expect(container && (await monitor.observe(container))).toEqual(HEALTHY);
  });

  it('is known as unreachable at the first look of a process that has just started, and given its network back', async () => {
    const container = await watch();
    monitor.stop();
    isLost = true;
    closed.add(PUBLISHED);
    expect(await monitor.observe(container)).toMatchObject({ state: 'unhealthy' });
    await settle();
    const found = containers.get('a');
    expect(found && (await monitor.observe(found))).toEqual(HEALTHY);
  });

  it('is not doubted for one connection that two looks at a time were refused', async () => {
    const container = await watch();
    closed.add(PUBLISHED);
    answerMs = 100;
    monitor.lookAgain();
    await settle(10);
    monitor.lookAgain();
    await settle(250);
    closed.clear();
    await settle(60_000);
    expect(changes).toEqual([]);
    expect(await monitor.observe(container)).toEqual(HEALTHY);
  });

  it('is not doubted for one connection that a starting daemon refused', async () => {
    const container = await watch();
    closed.add(PUBLISHED);
    monitor.lookAgain();
    await settle();
    closed.clear();
    await settle(60_000);
    expect(changes).toEqual([]);
    expect(await monitor.observe(container)).toEqual(HEALTHY);
  });

  it('is not unreachable for not listening itself: with a health command or none, that is its own affair', async () => {
    const container = await watch({ probe: { kind: 'none' } });
    closed.add(OWN).add(PUBLISHED);
    monitor.lookAgain();
    await settle(10_000);
    expect(await monitor.observe(container)).toEqual(HEALTHY);
  });

  it('is unreachable with a health command as well', async () => {
    const container = await watch({ probe: { kind: 'command', command: ['/ok'] } }, { dockerHealth: 'healthy' });
    closed.add(PUBLISHED);
    monitor.lookAgain();
    await settle(1_000);
    expect(await monitor.observe(container)).toMatchObject({ state: 'unhealthy' });
  });

  it('is not judged by a daemon that does not answer', async () => {
    const container = await watch();
    closed.add(PUBLISHED);
    isDaemonAway = true;
    monitor.lookAgain();
    await settle(20_000);
    expect(await monitor.observe(container)).toEqual(HEALTHY);
    expect(asked).toEqual([]);
  });

  it('fails by its own check as often as that allows', async () => {
    const container = await watch({ probe: { kind: 'automatic' }, retries: 3 });
    closed.add(OWN);
    await settle(2 * DEFAULT_HEALTH_CHECK.intervalMs);
    expect(await monitor.observe(container)).toEqual(HEALTHY);
    await settle(DEFAULT_HEALTH_CHECK.intervalMs);
    expect(await monitor.observe(container)).toEqual({
      state: 'unhealthy',
      reason: 'port 8080 refused the connection',
    });
    expect(asked).toEqual([OWN, OWN, OWN]);
  });
});
