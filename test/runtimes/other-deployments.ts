import { randomUUID } from 'node:crypto';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { type Cluster, containersOf } from '../cluster/cluster.ts';
import { aShopOf } from '../integration/a-shop.ts';
import { createSubject, type SpecInit, type Subject } from '../integration/deployed.ts';
import { askThroughIngress } from '../support/http.ts';

/** Three services of one file find each other, and after an update only those that came with them. In words, what is not so. */
export async function shopFindsItself(cluster: Cluster): Promise<string[]> {
  const words = (number: number) => ({ web: `web-${number}`, prices: `prices-${number}`, stock: `stock-${number}` });
  return await withSubject(cluster, aShopOf(cluster.image, words(1)), async (shop) => {
    const first = await pageIs(cluster, shop, 'web-1 prices-1 stock-1');
    const { id } = await shop.update(aShopOf(cluster.image, words(2)));
    return [...first, ...(await succeeded(shop, id)), ...(await pageIs(cluster, shop, 'web-2 prices-2 stock-2'))];
  });
}

/** What is in a volume outlives its replica. In words, what does not. */
export async function volumeIsKept(cluster: Cluster): Promise<string[]> {
  const spec = {
    source: { case: 'image', value: { reference: cluster.image } },
    port: 8080,
    command: ['/bin/sh', '-c', 'echo started >> /ledger/index.html && exec httpd -f -p 8080 -h /ledger'],
    limits: { cpuCores: 0.1, memoryBytes: 16n * 1024n * 1024n },
    volumes: [{ volume: `ledger-${randomUUID().slice(0, 8)}`, path: '/ledger' }],
  } as SpecInit;
  return await withSubject(cluster, spec, async (ledger) => {
    const [before] = await containersOf(ledger.id, cluster.nodes);
    const asked = { idempotencyKey: randomUUID(), deploymentId: ledger.id };
    const { operation } = await cluster.api.deployments.restartDeployment(asked);
    const failed = await succeeded(ledger, operation?.id);
    const [after] = await containersOf(ledger.id, cluster.nodes);
    const isElsewhere = before?.nodeId !== after?.nodeId || before?.id === after?.id;
    return [
      ...failed,
      ...(isElsewhere ? ['it is not another one on the same node'] : []),
      ...(await pageIs(cluster, ledger, 'started\nstarted')),
    ];
  });
}

async function withSubject(
  cluster: Cluster,
  spec: SpecInit,
  work: (subject: Subject) => Promise<string[]>,
): Promise<string[]> {
  const subject = await createSubject(cluster.api, spec);
  const failed = await succeeded(subject);
  const breaks = failed.length > 0 ? failed : await work(subject);
  await subject.remove();
  return breaks;
}

async function succeeded(subject: Subject, operationId?: string): Promise<string[]> {
  const { state, errorCode, errorMessage } = await subject.outcome(operationId);
  return state === OperationState.SUCCEEDED ? [] : [`${errorCode}: ${errorMessage}`];
}

async function pageIs({ httpPort }: Cluster, { name }: Subject, wanted: string): Promise<string[]> {
  const { status, body } = await askThroughIngress(httpPort, `${name}.localhost`);
  return body.trim() === wanted ? [] : [`it answers ${status} ${JSON.stringify(body.trim())}, not ${wanted}`];
}
