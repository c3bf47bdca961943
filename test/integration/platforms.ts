import { inject } from 'vitest';
import type { PlatformFacts } from '../support/platform.ts';

declare module 'vitest' {
  interface ProvidedContext {
    platforms: readonly PlatformFacts[];
  }
}

/**
 * The platform of this worker: the files that it runs have it one after the other, and nobody else has it meanwhile. So a
 * test may kill its processes.
 */
export function platformOfWorker(): PlatformFacts {
  const { VITEST_POOL_ID: worker } = process.env;
  const platform = inject('platforms')[Number(worker) - 1];
  if (!platform) throw new Error(`there is no platform for worker ${worker}`);
  return platform;
}
