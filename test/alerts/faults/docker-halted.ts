import { aWebServer } from '../../integration/deployed.ts';
import { eventually } from '../../support/eventually.ts';
import { type AlertBed, deploySubject } from '../bed.ts';
import type { Fault } from '../fault.ts';

/** Waits until a streamer that has just been started reads what runs of a deployment. */
async function untilRead({ api }: AlertBed, deploymentId: string): Promise<void> {
  await eventually(async () => {
    const { samples } = await api.metrics.getLatestMetrics({ deploymentId });
    if (samples.length === 0) throw new Error('nothing was read yet');
  });
}

/**
 * A Docker daemon that answers nothing. The streamer sees no cgroups meanwhile, so that it needs the daemon to read
 * containers: with them it goes on reading, calls nothing that could fail, and leaves nobody alone.
 */
export const dockerHalted: Fault = {
  name: 'docker-halted',
  about: 'the Docker daemon is halted under a streamer that sees no cgroups, and goes on',
  rules: ['metrics-unhealthy', 'metrics-breaker-open'],
  stage: 'streamer',
  patienceMs: 900_000,
  prepare: async (bed, stack) => {
    const { docker } = bed.node;
    const subject = await deploySubject(bed, aWebServer(bed.image, ''));
    await bed.streamer.start({ seesCgroups: false });
    await untilRead(bed, subject.id);
    stack.defer(() => docker.thaw());
    return {
      deployments: [subject.id],
      harm: () => docker.freeze(),
      heal: () => docker.thaw(),
      remove: async () => {
        await bed.streamer.start();
        await subject.remove();
      },
    };
  },
};
