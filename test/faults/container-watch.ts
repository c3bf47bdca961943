import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { LABEL } from '../../domain/naming.ts';

/** What Docker's own events tell of an installation's replicas. */
export interface ContainerWatch {
  /** Each moment since the last call at which a replica had two running containers, in words. */
  takeBreaks(): string[];
  /** How many containers were created for a replica so far. */
  creations(deploymentId: string, replicaId: string): number;
  close(): void;
}

interface ContainerEvent {
  readonly Action: string;
  readonly id: string;
  readonly Actor: { readonly Attributes: Readonly<Record<string, string>> };
}

/**
 * Follows the events of all daemons of an installation from now on; resolves when it follows, so that nothing that comes
 * later is missed.
 */
export async function watchContainers(dockers: readonly Dockerode[], instance: string): Promise<ContainerWatch> {
  const running = new Map<string, Set<string>>();
  const created = new Map<string, number>();
  const breaks: string[] = [];

  const see = ({ Action, id, Actor: { Attributes } }: ContainerEvent): void => {
    const replica = `${Attributes[LABEL.deploymentId]} ${Attributes[LABEL.replica]}`;
    if (Action === 'create') created.set(replica, (created.get(replica) ?? 0) + 1);
    const copies = running.get(replica) ?? new Set<string>();
    running.set(replica, copies);
    if (Action === 'start') copies.add(id);
    if (Action === 'die' || Action === 'destroy') copies.delete(id);
    if (copies.size > 1) breaks.push(`I1: replica ${replica} has ${copies.size} running containers`);
  };

  const streams = await Promise.all(dockers.map((docker) => followEvents(docker, instance, see)));
  return {
    takeBreaks: () => breaks.splice(0),
    creations: (deploymentId, replicaId) => created.get(`${deploymentId} ${replicaId}`) ?? 0,
    close: () => {
      for (const events of streams) void once(events.destroy(), 'close').catch(() => undefined);
    },
  };
}

async function followEvents(
  docker: Dockerode,
  instance: string,
  see: (event: ContainerEvent) => void,
): Promise<Readable> {
  const filters = { type: ['container' as const], label: [`${LABEL.instance}=${instance}`] };
  const events = (await docker.getEvents({ filters })) as unknown as Readable;
  let rest = '';
  events.setEncoding('utf8');
  events.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') see(JSON.parse(line) as ContainerEvent);
  });
  events.on('error', () => undefined);
  return events;
}
