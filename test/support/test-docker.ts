import { afterAll, beforeAll } from 'vitest';
import { openTestDocker, type TestDocker } from './docker.ts';

/** A corner of the Docker daemon for the tests of a file; open while they run, removed after them. */
export function useTestDocker(): { readonly corner: TestDocker } {
  let opened: TestDocker | undefined;
  beforeAll(async () => {
    opened = await openTestDocker();
  });
  afterAll(async () => await opened?.remove());
  return {
    get corner() {
      if (!opened) throw new Error('the corner is open only while tests run');
      return opened;
    },
  };
}
