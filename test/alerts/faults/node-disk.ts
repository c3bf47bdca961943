import type { Fault } from '../fault.ts';

/** A disk that fills up. */
export const nodeDisk: Fault = {
  name: 'node-disk',
  about: 'the disk of the node’s Docker daemon is filled to the last byte, and freed again',
  rules: ['node-disk'],
  stage: 'node',
  patienceMs: 300_000,
  prepare: async ({ node: { docker } }, stack) => {
    stack.defer(docker.freeDisk);
    return { deployments: [], harm: docker.fillDisk, heal: docker.freeDisk, remove: async () => undefined };
  },
};
