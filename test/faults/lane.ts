import { randomBytes } from 'node:crypto';
import Dockerode from 'dockerode';
import { nodeWorkflowId } from '../../contracts/node.ts';
import { DOCKER_SOCKET } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { removeInstance } from '../support/remove-instance.ts';
import { type ContainerWatch, watchContainers } from './container-watch.ts';
import { type FaultPlatform, startFaultPlatform } from './fault-platform.ts';
import type { Lives } from './life.ts';

/** One platform, and all that the work on it needs. Several lanes work side by side and know nothing of each other. */
export interface Lane {
  readonly platform: FaultPlatform;
  /** Straight to the daemon. */
  readonly docker: Dockerode;
  readonly containers: ContainerWatch;
  readonly organizationId: string;
  readonly projectId: string;
  readonly nodeId: string;
  /** Of the application that subjects run. */
  readonly image: string;
  /** Value of a variable of every subject, of this lane alone. */
  readonly canary: string;
  /** Runs of closed workflows that were replayed already. */
  readonly replayed: Set<string>;
  readonly lives: Lives;
}

/**
 * Opens a lane on a platform of its own.
 *
 * @param stacks.stack takes all that has to be undone, from the first moment on
 * @param stacks.connections takes what is closed in the end
 */
export async function openLane(
  { stack, connections }: { readonly stack: AsyncDisposableStack; readonly connections: AsyncDisposableStack },
  image: string,
  random: () => number,
): Promise<Lane> {
  const docker = new Dockerode({ socketPath: DOCKER_SOCKET });
  const left: string[] = [];
  stack.defer(async () => {
    for (const instance of left) await removeInstance(docker, instance);
  });
  // Stopped first: what a node still does would come back.
  const own = stack.use(new AsyncDisposableStack());
  const platform = await startFaultPlatform({ stack: own, connections }, random);
  left.push(platform.instance);
  const containers = await watchContainers([docker], platform.instance);
  own.defer(async () => containers.close());
  const { memberships } = await platform.api.identity.whoAmI({});
  const organizationId = memberships[0]?.organizationId ?? '';
  const { projects } = await platform.api.projects.listProjects({ organizationId });
  const { nodes } = await platform.api.nodes.listNodes({});
  const ids = { organizationId, projectId: projects[0]?.id ?? '', nodeId: nodes[0]?.id ?? '' };
  const canary = `canary-${randomBytes(12).toString('hex')}`;
  const lane = {
    ...ids,
    platform,
    docker,
    containers,
    image,
    canary,
    replayed: new Set<string>(),
    lives: { leaving: new Set<Promise<void>>() },
  };
  await settle(lane);
  return lane;
}

/**
 * Waits until every process of the lane is ready and its node is watched again: a node that was killed counts as lost
 * for a moment about 10 s later, when the heartbeats of its watch are missed, although it has been back for long.
 */
export async function settle({ platform, nodeId }: Pick<Lane, 'platform' | 'nodeId'>): Promise<void> {
  const { processes, db, temporal } = platform;
  for (const name of PROCESSES) await processes.untilReady(name);
  await eventually(async () => {
    const node = await db.selectFrom('nodes').select('state').where('id', '=', nodeId).executeTakeFirst();
    const { raw } = await temporal.workflow.getHandle(nodeWorkflowId(nodeId)).describe();
    const watch = raw.pendingActivities?.[0];
    const isWatched = toMs(watch?.lastStartedTime) > processes.lastKilledAt('node') && !raw.pendingWorkflowTask;
    const isAlive = toMs(watch?.lastHeartbeatTime) > Date.now() - FRESH_MS;
    if (node?.state !== 'ready' || !isWatched || !isAlive) throw new Error(`the node is ${node?.state}`);
  });
}

/** A node heartbeats every 2 s, and counts as lost after 10 s without. */
const FRESH_MS = 4_000;

function toMs(time: { seconds?: unknown; nanos?: number | null } | null | undefined): number {
  return Number(time?.seconds ?? 0) * 1_000 + Number(time?.nanos ?? 0) / 1e6;
}

/** What a lane's platform consists of, in the order of dependence. */
export const PROCESSES = ['postgres', 'temporal', 'dev-oidc', 'api', 'traefik', 'orchestrator', 'node'] as const;
