import { randomUUID } from 'node:crypto';
import { Code, ConnectError } from '@connectrpc/connect';
import { deploymentWorkflowId } from '../../../contracts/deployment.ts';
import { OperationState } from '../../../gen/obiente/cloud/v1/deployments_pb.ts';
import { lastEventId, readCommits, untilEvent } from '../../faults/history.ts';
import { aWebServer, createSubject, type Subject } from '../../integration/deployed.ts';
import { readFileOf } from '../../support/container-file.ts';
import { untilNone } from '../../support/until-none.ts';
import { SERVE } from '../application.ts';
import { type Cluster, containersOf, untilAllAre } from '../cluster.ts';
import type { ClusterNode } from '../cluster-node.ts';
import type { Experiment } from '../experiment.ts';
import { atMost, secondsOf } from '../figures.ts';
import { wholeDeployment } from '../invariants.ts';
import { killOrchestratorAt } from '../kill-at-event.ts';

/** Whoever starts writes its name below those before it, and then serves. */
const LEDGER = `echo "$OBIENTE_REPLICA" >> /data/ledger; ${SERVE}`;
const LEDGER_FILE = '/data/ledger';

/** What is done at an event of a move. */
const HARMS = ['kill', 'cancel'] as const;
type Harm = (typeof HARMS)[number];

/** One move with something done to it. */
interface Moved {
  readonly tookMs: number;
  /** The first event of each part in which it was stored, counted from its own first one. */
  readonly events: readonly number[];
  readonly breaks: readonly string[];
}

/** Moves an application with its data around; at each event of a move once the orchestrator is killed, once it is cancelled. */
export const dataMoved: Experiment = {
  name: 'data-moved',
  about: 'a volume moves with what writes it, killed or cancelled at each event: the data is in one place, and whole',
  runs: 1,
  run: async (cluster, { runs, tell }) => {
    const breaks: string[] = [];
    const killed: number[] = [];
    const cancelled: number[] = [];
    const unharmed: number[] = [];
    for (let run = 0; run < runs; run += 1) {
      await untilAllAre(cluster, 'ready');
      const subject = await aLedger(cluster);
      const ledger = openLedger(cluster, subject);
      const first = await moveOnce(cluster, subject, ledger, null);
      unharmed.push(first.tookMs);
      breaks.push(...first.breaks);
      const { events } = first;
      tell(`${run + 1}: a move took ${(first.tookMs / 1000).toFixed(1)} s and ${events.length} commits`);
      for (const harm of HARMS) {
        for (const event of events) {
          const moved = await moveOnce(cluster, subject, ledger, { harm, event });
          (harm === 'kill' ? killed : cancelled).push(moved.tookMs);
          breaks.push(...moved.breaks.map((text) => `${harm} at event ${event}: ${text}`));
          tell(`  ${harm} at event ${event}: ${(moved.tookMs / 1000).toFixed(1)} s ${moved.breaks.join(', ')}`);
        }
      }
      await subject.remove();
      await forget(cluster);
    }
    return {
      runs,
      figures: [
        ...secondsOf('a move', unharmed, null),
        ...secondsOf(`a move with the orchestrator killed, ${killed.length}`, killed, null),
        ...secondsOf(`a move that is cancelled, ${cancelled.length}`, cancelled, null),
        atMost(0, { name: 'moves after which data is lost, doubled or apart', value: breaks.length, unit: '' }),
      ],
      breaks,
    };
  },
};

async function aLedger(cluster: Cluster): Promise<Subject> {
  const spec = aWebServer(cluster.image, '', {
    command: ['/bin/sh', '-c', LEDGER],
    volumes: [{ volume: 'ledger', path: '/data', readOnly: false }],
  });
  const subject = await createSubject(cluster.api, spec);
  const { state, errorMessage } = await subject.outcome();
  if (state !== OperationState.SUCCEEDED) throw new Error(`the application does not come up: ${errorMessage}`);
  return subject;
}

/** What was read of the ledger last; what is read next has to begin with that. */
function openLedger(cluster: Cluster, subject: Subject) {
  let known = '';
  return {
    /** Says what is not as it must be: a line that is gone, or one that nobody wrote. */
    check: async (): Promise<string[]> => {
      const [container] = await containersOf(subject.id, cluster.nodes);
      const node = cluster.nodes.find(({ nodeId }) => nodeId === container?.nodeId);
      if (!container || !node) return ['there is no container'];
      const text = await readFileOf(node.docker.client, container.id, LEDGER_FILE);
      const before = known;
      known = text;
      const own = text.trimEnd().split('\n').at(-1);
      return [
        ...(text.startsWith(before) ? [] : [`the ledger lost lines: ${lines(before)} became ${lines(text)}`]),
        ...(own === container.replica ? [] : [`${container.replica} runs, and ${own} wrote last`]),
      ];
    },
  };
}

async function moveOnce(
  cluster: Cluster,
  subject: Subject,
  ledger: ReturnType<typeof openLedger>,
  fault: { readonly harm: Harm; readonly event: number } | null,
): Promise<Moved> {
  const from = (await subject.get()).replicas[0]?.nodeId;
  const to = cluster.nodes.find(({ nodeId }) => nodeId !== from);
  if (!to) throw new Error('there is no other node');
  const before = await lastEventId(cluster.temporal, deploymentWorkflowId(subject.id));
  const ended = new AbortController();
  const request = { idempotencyKey: randomUUID(), deploymentId: subject.id };
  const begun = performance.now();
  const { operation } = await cluster.api.deployments.moveDeployment({ ...request, toNodeId: to.nodeId });
  const operationId = operation?.id ?? '';
  const struck = fault && strike(cluster, subject, { ...fault, event: before + fault.event, operationId, ended });
  const { state, errorMessage } = await subject.outcome(operationId);
  const tookMs = performance.now() - begun;
  ended.abort();
  await struck;
  const commits = (await readCommits(cluster.temporal, deploymentWorkflowId(subject.id))).filter(
    ({ first }) => first > before,
  );
  const isCancelled = state === OperationState.CANCELLED && fault?.harm === 'cancel';
  return {
    tookMs,
    events: commits.map(({ first }) => first - before),
    breaks: [
      ...(state === OperationState.SUCCEEDED || isCancelled ? [] : [`the move ended otherwise: ${errorMessage}`]),
      ...(await wholeDeployment(cluster, subject.id, 1)),
      ...(await ledger.check()),
      ...(await inOnePlace(cluster, subject)),
    ],
  };
}

/** Waits for an event, and then kills or cancels; nothing when the move ends before. */
async function strike(
  cluster: Cluster,
  subject: Subject,
  { harm, event, operationId, ended }: { harm: Harm; event: number; operationId: string; ended: AbortController },
): Promise<void> {
  const workflowId = deploymentWorkflowId(subject.id);
  const { signal } = ended;
  if (harm === 'kill') return await killOrchestratorAt(cluster, { workflowId, event, signal });
  const seen = await untilEvent(cluster.temporal, workflowId, { id: event, signal });
  if (!seen) return;
  const cancel = { idempotencyKey: randomUUID(), operationId };
  await cluster.api.operations.cancelOperation(cancel).catch((error: unknown) => {
    // It may have ended by now, and then there is nothing to cancel.
    if (ConnectError.from(error).code !== Code.FailedPrecondition) throw error;
  });
}

/** The data is on the node that runs what writes it, and nothing of it is left on any other. */
async function inOnePlace({ nodes, instance }: Cluster, subject: Subject): Promise<string[]> {
  const filters = { label: [`cloud.obiente.instance=${instance}`] };
  const look = async (): Promise<string[]> => {
    const home = (await subject.get()).replicas[0]?.nodeId;
    const found = await Promise.all(
      nodes.map(async ({ nodeId, docker }: ClusterNode) => {
        const { Volumes } = await docker.client.listVolumes({ filters });
        const wanted = nodeId === home ? 1 : 0;
        return Volumes.length === wanted ? [] : [`${nodeId} has ${Volumes.length} volumes, not ${wanted}`];
      }),
    );
    return found.flat();
  };
  return await untilNone(look);
}

async function forget({ api }: Cluster): Promise<void> {
  const { memberships } = await api.identity.whoAmI({});
  const { projects } = await api.projects.listProjects({ organizationId: memberships[0]?.organizationId ?? '' });
  const projectId = projects[0]?.id ?? '';
  await api.volumes.deleteVolume({ idempotencyKey: randomUUID(), projectId, name: 'ledger' });
}

function lines(text: string): string {
  return JSON.stringify(text.trimEnd().split('\n'));
}
