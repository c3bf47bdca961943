import { randomUUID } from 'node:crypto';
import { aFragileServer } from '../../integration/fragile-server.ts';
import { deploySubject, putMark } from '../bed.ts';
import type { Fault } from '../fault.ts';

/** A replica that exits as soon as it is started, until it is replaced. Restarts are told of for 15 minutes. */
export const crashLoop: Fault = {
  name: 'crash-loop',
  about: 'an application exits again and again, and is replaced by `obiente restart`',
  rules: ['restarts', 'crash-loop'],
  also: ['replica-down'],
  stage: 'slow',
  patienceMs: 1_200_000,
  prepare: async (bed) => {
    const subject = await deploySubject(bed, aFragileServer(bed.image));
    const heal = async (): Promise<void> => {
      const asked = { idempotencyKey: randomUUID(), deploymentId: subject.id };
      const { operation } = await bed.api.deployments.restartDeployment(asked);
      await subject.outcome(operation?.id);
    };
    return { deployments: [subject.id], harm: () => putMark(bed, subject, 'broken'), heal, remove: subject.remove };
  },
};
