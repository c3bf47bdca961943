import { randomUUID } from 'node:crypto';
import { untilNodeIs } from '../../cluster/cluster.ts';
import { aWebServer, firstProject } from '../../integration/deployed.ts';
import { type AlertBed, deploySubject } from '../bed.ts';
import type { Fault, ReadyFault } from '../fault.ts';

/** Halts the process of the node, on which deployments with a volume each are: they cannot go elsewhere. */
async function prepareHalt(bed: AlertBed, stack: AsyncDisposableStack, count: number): Promise<ReadyFault> {
  const projectId = await firstProject(bed.api);
  const names = Array.from({ length: count }, () => `kept-${randomUUID().slice(0, 8)}`);
  const limits = { cpuCores: 0.03, memoryBytes: 8n * 1024n * 1024n };
  const subjects = await Promise.all(
    names.map((volume) =>
      deploySubject(bed, aWebServer(bed.image, '', { limits, volumes: [{ volume, path: '/data' }] })),
    ),
  );
  stack.defer(async () => bed.node.process.goOn());
  return {
    deployments: subjects.map(({ id }) => id),
    harm: async () => bed.node.process.halt(),
    heal: async () => {
      bed.node.process.goOn();
      await untilNodeIs(bed, bed.node, 'ready');
    },
    remove: async () => {
      await Promise.all(subjects.map(({ remove }) => remove()));
      for (const name of names) {
        await bed.api.volumes.deleteVolume({ idempotencyKey: randomUUID(), projectId, name });
      }
    },
  };
}

/** A node that does not answer. */
export const nodeHalted: Fault = {
  name: 'node-halted',
  about: 'the process of a node is halted, on which a deployment with a volume is, and goes on',
  rules: ['node-lost', 'volumes-on-lost-node'],
  also: ['replica-down'],
  stage: 'node',
  patienceMs: 300_000,
  prepare: (bed, stack) => prepareHalt(bed, stack, 1),
};

const MANY = 20;

/** The same with many deployments: each is told of by itself. */
export const flood: Fault = {
  name: 'flood',
  about: `the same with ${MANY} deployments`,
  rules: ['node-lost', 'volumes-on-lost-node'],
  also: ['replica-down'],
  stage: 'node',
  patienceMs: 600_000,
  prepare: (bed, stack) => prepareHalt(bed, stack, MANY),
};
