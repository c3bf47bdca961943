import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Api } from '../cli/client.ts';
import { LABEL } from '../domain/naming.ts';
import type { SpecInit } from '../test/integration/deployed.ts';
import type { TestDocker } from '../test/support/docker.ts';
import { eventually } from '../test/support/eventually.ts';

/** Does nothing, and ends when it is asked to: as PID 1 a bare `sleep` ignores SIGTERM. */
const COMMAND = ['/bin/sh', '-c', 'trap "exit 0" TERM; sleep 3600 & wait'];

/** Limits with which many replicas have room on one node. A tenth of a core makes Docker start it some 80 ms later. */
export const SMALL = { cpuCores: 0.1, memoryBytes: 16n * 1024n * 1024n };

/**
 * A replica that does nothing: no health gate and no route, as bare Docker has neither. With the platform's limits for
 * whoever says none, unless it is told others.
 */
export function anIdleSpec(image: string, limits: NonNullable<SpecInit['limits']> = {}): SpecInit {
  return {
    source: { case: 'image', value: { reference: image } },
    command: COMMAND,
    healthCheck: { kind: { case: 'none', value: {} } },
    limits,
  };
}

/** Docker's own events of started containers. */
export type Starts = Awaited<ReturnType<typeof followStarts>>;

/** Remembers the moment at which Docker said that a deployment's container had started. */
export async function followStarts({ client }: TestDocker, instance: string) {
  const startedAt = new Map<string, number>();
  const waiting = new Map<string, (at: number) => void>();
  const filters = { type: ['container'], event: ['start'], label: [`${LABEL.instance}=${instance}`] };
  const stream = (await client.getEvents({ filters: JSON.stringify(filters) })) as unknown as Readable;
  createInterface({ input: stream }).on('line', (line) => {
    const event = JSON.parse(line) as { Actor: { Attributes: Record<string, string> } };
    const deploymentId = event.Actor.Attributes[LABEL.deploymentId] ?? '';
    const at = performance.now();
    startedAt.set(deploymentId, at);
    waiting.get(deploymentId)?.(at);
  });
  const untilStarted = (deploymentId: string): Promise<number> => {
    const known = startedAt.get(deploymentId);
    return known === undefined ? new Promise((resolve) => waiting.set(deploymentId, resolve)) : Promise.resolve(known);
  };
  return { untilStarted, close: () => stream.destroy() };
}

/** A container on the daemon of the bench. */
export type BareContainer = Awaited<ReturnType<TestDocker['client']['createContainer']>>;

/** What a deploy comes down to, without the platform: create, start and inspect. */
export async function startBare({ client, image }: TestDocker, network: string): Promise<BareContainer> {
  const container = await client.createContainer({
    name: `bench-${randomUUID()}`,
    Image: image,
    Cmd: COMMAND,
    HostConfig: { NetworkMode: network },
  });
  await container.start();
  await container.inspect();
  return container;
}

/** Deletes a deployment, and waits until nothing is left of it. */
export async function removeAndWait(api: Api, deploymentId: string): Promise<void> {
  await api.deployments.deleteDeployment({ idempotencyKey: randomUUID(), deploymentId });
  await eventually(async () => {
    const gone = await api.deployments.getDeployment({ deploymentId }).then(
      () => false,
      () => true,
    );
    if (!gone) throw new Error('the deployment is still there');
  });
}
