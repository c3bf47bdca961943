import { randomUUID } from 'node:crypto';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { Client } from '@temporalio/client';
import type { Database } from '../../adapters/postgres/database.ts';
import { createCertificateProbe } from '../../adapters/traefik/certificate-probe.ts';
import type { Api } from '../../cli/client.ts';
import type { AlertRuleName } from '../../domain/alerts/alert-rules.ts';
import { LABEL } from '../../domain/naming.ts';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { untilAllAre } from '../cluster/cluster.ts';
import { type ClusterNode, startClusterHost, startClusterNode } from '../cluster/cluster-node.ts';
import { startControlPlane } from '../cluster/control-plane.ts';
import { openClusterNetwork } from '../cluster/network.ts';
import { createSubject, type SpecInit, type Subject } from '../integration/deployed.ts';
import { whatPrints } from '../support/container-exec.ts';
import { copyImage } from '../support/copy-image.ts';
import { openTestDocker, tarOf } from '../support/docker.ts';
import { openTcpProxy } from '../support/tcp-proxy.ts';
import { openWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';
import { readCertificatesFromFolder, serveCertificate } from './served-certificates.ts';
import { type BedStreamer, createBedStreamer } from './streamer.ts';

/** A platform with one host of its own, which is harmed, and a receiver that is told of it. */
export interface AlertBed {
  readonly api: Api;
  readonly db: Database;
  /** Straight to Temporal. */
  readonly temporal: Client;
  readonly node: ClusterNode;
  readonly streamer: BedStreamer;
  readonly receiver: WebhookReceiver;
  /** Of the applications that are deployed. */
  readonly image: string;
  readonly httpPort: number;
  /** Has the ingress serve a certificate for a hostname that expires in so many days. */
  serveCertificate(hostname: string, days: number): Promise<void>;
  /** When the certificate expires that the ingress serves for a hostname. */
  readCertificate(hostname: string): Promise<Date | null>;
}

const SECRET = 'a secret that only both know';

/** Room for the image, volumes and two dozen containers. */
const DISK_BYTES = 512 * 1024 ** 2;

/** Opens it; nothing of it is left when the stack is disposed of. */
export async function openAlertBed(stack: AsyncDisposableStack): Promise<AlertBed> {
  const corner = await openTestDocker();
  stack.defer(corner.remove);
  const network = await openClusterNetwork(stack);
  const { installation, api, db, temporal } = await startControlPlane(stack, network, {
    settings: { ALERTS_ALLOWED_HOSTS: '127.0.0.1' },
    onPrepared: readCertificatesFromFolder,
  });
  const { config, stateDir } = installation;
  const ports = { apiPort: config.API_PORT, temporalPort: config.TEMPORAL_PORT };
  for (const port of Object.values(ports)) {
    const way = await openTcpProxy(port, { host: network.address, port });
    stack.defer(way.stop);
  }
  const of = { index: 0, network, settings: {}, dockerVersion: undefined, diskBytes: DISK_BYTES };
  const host = await startClusterHost(stack, of);
  await copyImage(corner.image, corner.client, host.docker.client);
  const node = await startClusterNode(stack, host, { network, installation, runtime: 'docker', ...ports });
  await untilAllAre({ db, nodes: [node] }, 'ready');
  const streamer = await createBedStreamer(stack, {
    ...{ installation, host: host.host, nodeId: node.nodeId, address: network.address },
    dockerSocket: host.docker.socketPath,
  });
  await streamer.start();
  const receiver = await openWebhookReceiver(SECRET);
  stack.defer(receiver.close);
  await tellAt(api, receiver.url);
  const readCertificate = createCertificateProbe({ address: `127.0.0.1:${config.HTTPS_PORT}` });
  return {
    ...{ api, db, temporal, node, streamer, receiver, image: corner.image, httpPort: config.HTTP_PORT },
    serveCertificate: (hostname, days) => serveCertificate(stateDir, hostname, days),
    readCertificate,
  };
}

/** Has everything told there: of the user's organization, and of the platform. */
async function tellAt(api: Api, url: string): Promise<void> {
  const { organizations } = await api.organizations.listOrganizations({});
  const [organizationId, name] = [organizations[0]?.id ?? '', 'receiver'];
  const target = { case: 'webhook', value: { url, secret: SECRET } } as const;
  await api.alerts.createNotificationTarget({ idempotencyKey: randomUUID(), organizationId, name, target });
  await api.alerts.setPlatformTarget({ organizationId, name, platform: true });
}

/** How long a condition must hold until it is told, where the built-in time would make a run long. */
export const SHORT_FOR_MS = 10_000;

/** Deploys what a fault is about. @throws when it does not come up */
export async function deploySubject(
  { api }: Pick<AlertBed, 'api'>,
  spec: SpecInit,
  shortened: readonly AlertRuleName[] = [],
): Promise<Subject> {
  const subject = await createSubject(api, spec);
  const { state, errorMessage } = await subject.outcome();
  if (state !== OperationState.SUCCEEDED) throw new Error(`the application does not come up: ${errorMessage}`);
  for (const rule of shortened) {
    await api.alerts.setAlertRule({ deploymentId: subject.id, rule, for: durationFromMs(SHORT_FOR_MS) });
  }
  return subject;
}

/** Ids of the containers of a deployment that run. */
async function containersOf({ node }: Pick<AlertBed, 'node'>, { id }: Subject): Promise<string[]> {
  const filters = { label: [`${LABEL.deploymentId}=${id}`] };
  return (await node.docker.client.listContainers({ filters })).map(({ Id }) => Id);
}

/** Puts an empty file into the root folder of each container of a deployment: their applications look for it. */
export async function putMark(bed: AlertBed, subject: Subject, name: string): Promise<void> {
  for (const id of await containersOf(bed, subject)) {
    await bed.node.docker.client.getContainer(id).putArchive(tarOf({ [name]: '' }), { path: '/' });
  }
}

/** Runs a command in each container of a deployment. */
export async function runIn(bed: AlertBed, subject: Subject, command: string): Promise<void> {
  for (const id of await containersOf(bed, subject)) {
    await whatPrints(bed.node.docker.client, id, ['/bin/sh', '-c', command]);
  }
}

/** Takes a file away again. */
export async function takeMark(bed: AlertBed, subject: Subject, name: string): Promise<void> {
  await runIn(bed, subject, `rm -f /${name}`);
}
