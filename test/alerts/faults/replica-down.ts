import { aWebServer } from '../../integration/deployed.ts';
import { deploySubject, putMark, takeMark } from '../bed.ts';
import type { Fault } from '../fault.ts';

/** A replica that runs and says that it is not well. */
export const replicaDown: Fault = {
  name: 'replica-down',
  about: 'the health check of an application fails, and passes again',
  rules: ['replica-down'],
  changed: '`--for 10s`',
  stage: 'application',
  patienceMs: 300_000,
  prepare: async (bed) => {
    const command = ['/bin/sh', '-c', '[ ! -e /sick ]'];
    const interval = { seconds: 1n };
    const healthCheck = { kind: { case: 'command', value: { command } }, interval, retries: 3 } as const;
    const subject = await deploySubject(bed, aWebServer(bed.image, '', { healthCheck }), ['replica-down']);
    return {
      deployments: [subject.id],
      harm: () => putMark(bed, subject, 'sick'),
      heal: () => takeMark(bed, subject, 'sick'),
      remove: subject.remove,
    };
  },
};
