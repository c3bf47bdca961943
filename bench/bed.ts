import type { Api } from '../cli/client.ts';
import { openTestDocker, type TestDocker } from '../test/support/docker.ts';
import { openApi, type PlatformFacts, startTestPlatform } from '../test/support/platform.ts';
import { removeInstance } from '../test/support/remove-instance.ts';
import { cleaningUp } from './clean-up.ts';

/** What a bench of the whole platform works with. */
export interface Bed {
  readonly platform: PlatformFacts;
  readonly api: Api;
  readonly docker: TestDocker;
}

/** Runs something on a platform of its own with real containers; nothing of either is left, however it ends. */
export async function onPlatform<Result>(work: (bed: Bed) => Promise<Result>): Promise<Result> {
  return await cleaningUp(async (stack) => {
    const docker = await openTestDocker();
    stack.defer(docker.remove);
    const { stop, ...platform } = await startTestPlatform();
    stack.defer(() => removeInstance(docker.client, platform.instance));
    stack.defer(stop);
    const api = openApi(platform);
    stack.defer(api.close);
    return await work({ platform, api, docker });
  });
}
