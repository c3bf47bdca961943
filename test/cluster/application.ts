import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { aWebServer, createSubject, type Subject } from '../integration/deployed.ts';
import { eventually } from '../support/eventually.ts';
import { type Probe, startProber } from '../support/prober.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterNode } from './cluster-node.ts';

/** What the prober asks a second. */
const PER_SECOND = 50;

/** So many answers in a row, each as it should be, before anything is harmed. */
const SOUND_ANSWERS = 50;

/** Answers with the id of its container, as far as that is its name, and ends when it is told to. */
export const SERVE =
  'mkdir -p /tmp/www && hostname > /tmp/www/index.html && httpd -f -p 8080 -h /tmp/www & trap "exit 0" TERM; wait';

/** Deploys web servers whose answers tell which container gave them. @throws when they do not come up */
export async function deployApplication(cluster: Cluster, replicas: number): Promise<Subject> {
  const spec = aWebServer(cluster.image, '', { replicas, command: ['/bin/sh', '-c', SERVE] });
  const subject = await createSubject(cluster.api, spec);
  const { state, errorMessage } = await subject.outcome();
  if (state !== OperationState.SUCCEEDED) throw new Error(`the application does not come up: ${errorMessage}`);
  return subject;
}

/** Deploys so many with one replica each on one node. They may go anywhere; the others take nothing meanwhile. */
export async function deployOnOne(cluster: Cluster, node: ClusterNode, count: number): Promise<readonly Subject[]> {
  const others = cluster.nodes.filter((other) => other !== node);
  for (const { nodeId } of others) await cluster.api.nodes.cordonNode({ nodeId });
  try {
    return await Promise.all(Array.from({ length: count }, () => deployApplication(cluster, 1)));
  } finally {
    for (const { nodeId } of others) await cluster.api.nodes.uncordonNode({ nodeId });
  }
}

/** Asks an application through the ingress; resolves once it answers as it should. */
export async function probeApplication(cluster: Cluster, { name }: Subject, perSecond = PER_SECOND) {
  const prober = startProber({ port: cluster.httpPort, host: `${name}.localhost`, perSecond });
  const enough = Math.min(SOUND_ANSWERS, 10 * perSecond);
  await eventually(() => {
    const last = prober.probes.slice(-enough);
    if (last.length < enough || last.some(({ outcome }) => outcome !== 200)) throw new Error('not sound yet');
  });
  return prober;
}

/** Whether an answer came from this container. */
export function isFrom({ body }: Probe, containerId: string): boolean {
  const name = body.trim();
  return name !== '' && containerId.startsWith(name);
}

/** A bound that only a hang reaches, also where other work takes most of the machine. */
const PROBES_PATIENCE = { patienceMs: 600_000 };

/** Waits until so many requests have been answered in all, one way or the other. */
export async function untilProbes(probes: readonly Probe[], count: number): Promise<void> {
  await eventually(() => {
    if (probes.length < count) throw new Error(`${probes.length} answers of ${count}`);
  }, PROBES_PATIENCE);
}
