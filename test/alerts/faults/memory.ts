import { aWebServer } from '../../integration/deployed.ts';
import { deploySubject, runIn } from '../bed.ts';
import type { Fault } from '../fault.ts';

const LIMIT_MIB = 32;

/** With what the processes need, 95 % of the limit: more and the kernel ends one of them. */
const BALLAST_MIB = 30;

/** A replica whose memory fills up and stays so. */
export const memory: Fault = {
  name: 'memory',
  about: `an application fills ${BALLAST_MIB} MiB of the ${LIMIT_MIB} that it may, and gives them back`,
  rules: ['memory'],
  changed: '`--for 10s`',
  stage: 'application',
  patienceMs: 900_000,
  prepare: async (bed) => {
    const limits = { cpuCores: 0.2, memoryBytes: BigInt(LIMIT_MIB) * 1024n * 1024n };
    const subject = await deploySubject(bed, aWebServer(bed.image, '', { limits }), ['memory']);
    return {
      deployments: [subject.id],
      harm: () => runIn(bed, subject, `dd if=/dev/zero of=/dev/shm/ballast bs=1M count=${BALLAST_MIB}`),
      heal: () => runIn(bed, subject, 'rm /dev/shm/ballast'),
      remove: subject.remove,
    };
  },
};
