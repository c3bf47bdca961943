import type { Api } from '../cli/client.ts';
import { LABEL } from '../domain/naming.ts';
import { openTestDocker, type TestDocker } from '../test/support/docker.ts';
import { openApi, type PlatformFacts, startTestPlatform } from '../test/support/platform.ts';
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
    stack.defer(() => removeAllOf(platform.instance, docker));
    stack.defer(stop);
    const api = openApi(platform);
    stack.defer(api.close);
    return await work({ platform, api, docker });
  });
}

/** What was deployed outlives the platform, so a bench that ended early has left it. */
async function removeAllOf(instance: string, { client }: TestDocker): Promise<void> {
  const filters = { label: [`${LABEL.instance}=${instance}`] };
  for (const { Id } of await client.listContainers({ all: true, filters })) {
    await client.getContainer(Id).remove({ force: true, v: true });
  }
  for (const { Id } of await client.listNetworks({ filters })) await client.getNetwork(Id).remove();
  for (const { Id } of await client.listImages({ filters })) await client.getImage(Id).remove({ force: true });
}
