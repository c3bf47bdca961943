import { aWebServer } from '../../integration/deployed.ts';
import { deploySubject, putMark, takeMark } from '../bed.ts';
import type { Fault } from '../fault.ts';

/** Small, so that a machine that has other work can still give all of it. */
const CORES = 0.1;

/** Counts for ever while there is a file `/busy`. */
const SCRIPT = [
  'mkdir -p /tmp/www && httpd -p 8080 -h /tmp/www',
  'while :; do if [ -e /busy ]; then i=0; while [ $i -lt 5000 ]; do i=$((i+1)); done; else sleep 0.2; fi; done',
].join('; ');

/** A replica that computes all the time. */
export const cpu: Fault = {
  name: 'cpu',
  about: `an application loops at its limit of ${CORES} cores, and stops that`,
  rules: ['cpu'],
  changed: '`--for 10s`',
  stage: 'application',
  patienceMs: 900_000,
  prepare: async (bed) => {
    const limits = { cpuCores: CORES, memoryBytes: 16n * 1024n * 1024n };
    const spec = aWebServer(bed.image, '', { command: ['/bin/sh', '-c', SCRIPT], limits });
    const subject = await deploySubject(bed, spec, ['cpu']);
    return {
      deployments: [subject.id],
      harm: () => putMark(bed, subject, 'busy'),
      heal: () => takeMark(bed, subject, 'busy'),
      remove: subject.remove,
    };
  },
};
