import type { Fault } from '../fault.ts';

/** A streamer that answers nothing. */
export const streamerHalted: Fault = {
  name: 'streamer-halted',
  about: 'the streamer is halted, and goes on',
  rules: ['streamer-silent'],
  stage: 'alone',
  patienceMs: 300_000,
  prepare: async ({ streamer }, stack) => {
    stack.defer(async () => streamer.goOn());
    const [harm, heal] = [async () => streamer.halt(), async () => streamer.goOn()];
    return { deployments: [], harm, heal, remove: async () => undefined };
  },
};
