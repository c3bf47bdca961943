import type { DockerBuilds } from './builds.ts';
import type { DockerConnection } from './connection.ts';
import { familiar } from './image-reference.ts';
import type { OwnImages } from './own-images.ts';
import { nameOf, type RegistryCalls } from './registry-calls.ts';

/** What recording needs. */
export interface RecordingDeps {
  readonly docker: DockerConnection;
  readonly own: OwnImages;
}

/** Names of the images of a daemon, by image. */
type Names = ReadonlyMap<string, readonly string[]>;

/** Remembers the names that pulls bring: those of the pulled image which the daemon did not have before. */
export function recordPulls(registry: RegistryCalls, deps: RecordingDeps): RegistryCalls {
  return {
    ...registry,
    pull: async (call) => {
      const before = await listNames(deps.docker);
      const digest = await registry.pull(call);
      const name = nameOf({ ...call, repository: familiar(call.repository) });
      await record(deps, { before, pulled: [name], isBase: false });
      return digest;
    },
  };
}

/** How the daemon says, in a build, that it had to pull what the build begins with. */
const PULLED = /^Status: Downloaded newer image for (\S+)$/;
/** How it says what a stage begins with. */
const STAGE = /^Step \d+\/\d+ : FROM (?:--\S+ )*(\S+)/i;

/** Remembers the names that builds bring, also those that fail, and that they began with them. */
export function recordBaseImages(builds: DockerBuilds, deps: RecordingDeps): DockerBuilds {
  return {
    buildImage: async (request) => {
      const before = await listNames(deps.docker);
      const pulled = new Set<string>();
      const begun = new Set<string>();
      try {
        const built = await builds.buildImage({
          ...request,
          onStatus: (status) => {
            const [, name] = PULLED.exec(status) ?? [];
            if (name !== undefined) pulled.add(familiar(name));
          },
          onLine: (line) => {
            const [, name] = STAGE.exec(line) ?? [];
            if (name !== undefined) begun.add(withTag(familiar(name)));
            request.onLine(line);
          },
        });
        deps.own.used(built.imageId);
        return built;
      } finally {
        await record(deps, { before, pulled: [...pulled], isBase: true });
        // A line is what a Dockerfile makes of it: it renews what is known, and makes nothing known.
        deps.own.brought(
          [...begun].filter((name) => deps.own.find(name)),
          { isBase: true },
        );
      }
    },
  };
}

function withTag(name: string): string {
  return /[:@]/.test(name.slice(name.lastIndexOf('/') + 1)) ? name : `${name}:latest`;
}

/** A look that fails costs the record: the image stays on the daemon. */
async function record(
  { docker, own }: RecordingDeps,
  { before, pulled, isBase }: { before: Names; pulled: readonly string[]; isBase: boolean },
): Promise<void> {
  if (pulled.length === 0) return;
  const after = await listNames(docker).catch((): Names => new Map());
  const known = new Set([...before.values()].flat());
  for (const name of pulled) {
    const names = [...after.values()].find((all) => all.includes(name)) ?? [];
    const isOfRepository = (one: string): boolean => repositoryOf(one) === repositoryOf(name);
    own.brought(
      names.filter((one) => isOfRepository(one) && (!known.has(one) || own.find(one))),
      { isBase },
    );
  }
}

function repositoryOf(name: string): string {
  const [named = ''] = name.split('@', 1);
  return named.replace(/:[^:/]*$/, '');
}

/** All names that lead to an image, by image. */
export async function listNames(docker: DockerConnection): Promise<Names> {
  const images = await docker.call('list images', (abortSignal) => docker.client.listImages({ abortSignal }));
  return new Map(images.map((image) => [image.Id, namesOf(image)]));
}

/** Tags and digests; Docker lists `<none>` where there are none. */
export function namesOf(image: {
  readonly RepoTags?: readonly string[] | null | undefined;
  readonly RepoDigests?: readonly string[] | null | undefined;
}): string[] {
  return [...(image.RepoTags ?? []), ...(image.RepoDigests ?? [])].filter((name) => !name.includes('<none>'));
}
