import { aWebServer } from '../../integration/deployed.ts';
import { eventually } from '../../support/eventually.ts';
import { startProber } from '../../support/prober.ts';
import { deploySubject, putMark, takeMark } from '../bed.ts';
import type { Fault } from '../fault.ts';

const PER_SECOND = 5;

/** Each answer is made by a script, which looks for a file `/bad`. */
const ANSWER = [
  '#!/bin/sh',
  'if [ -e /bad ]; then echo "Status: 500 Internal Server Error"; else echo "Status: 200 OK"; fi',
  'echo "Content-Type: text/plain"; echo; echo answered',
].join('\n');

const SCRIPT = [
  'mkdir -p /tmp/www/cgi-bin',
  `cat > /tmp/www/cgi-bin/index.cgi <<'END'\n${ANSWER}\nEND\nchmod +x /tmp/www/cgi-bin/index.cgi`,
  'exec httpd -f -p 8080 -h /tmp/www',
].join('\n');

/** An application that answers 500 through the ingress. */
export const errorRate: Fault = {
  name: 'error-rate',
  about: `an application answers ${PER_SECOND} requests/s through the ingress with 500, and then with 200`,
  rules: ['error-rate'],
  changed: '`--for 10s`',
  stage: 'application',
  patienceMs: 1_200_000,
  prepare: async (bed, stack) => {
    const spec = aWebServer(bed.image, '', { command: ['/bin/sh', '-c', SCRIPT] });
    const subject = await deploySubject(bed, spec, ['error-rate']);
    const host = `${subject.name}.localhost`;
    const prober = startProber({ port: bed.httpPort, host, perSecond: PER_SECOND });
    stack.defer(async () => void (await prober.stop()));
    const untilAnswers = (status: number): Promise<void> =>
      eventually(() => {
        const [last] = prober.probes.slice(-1);
        if (last?.outcome !== status) throw new Error(`answered ${last?.outcome}, not ${status}`);
      });
    await untilAnswers(200);
    return {
      deployments: [subject.id],
      harm: async () => {
        await putMark(bed, subject, 'bad');
        await untilAnswers(500);
      },
      heal: async () => {
        await takeMark(bed, subject, 'bad');
        await untilAnswers(200);
      },
      remove: async () => {
        await prober.stop();
        await subject.remove();
      },
    };
  },
};
