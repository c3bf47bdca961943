import type { DockerConnection } from './connection.ts';

/** Old daemons walk through every volume to answer, whatever part is asked for. */
const USAGE_MS = 120_000;

/** What a daemon says of the space that it takes. */
export interface DiskUsage {
  /** All layers of all images, each once; `null` when it does not say. */
  readonly layersBytes: number | null;
  /** By image id: what only this image takes. */
  readonly ownBytes: ReadonlyMap<string, number>;
  /** Records of the build cache. */
  readonly buildCache: readonly CacheRecord[];
}

/** A record of a daemon's build cache. */
export interface CacheRecord {
  readonly bytes: number;
  readonly isInUse: boolean;
  /** Whether an image has it as well, so that removing it frees nothing. */
  readonly isShared: boolean;
}

interface ImageUsage {
  readonly Id: string;
  readonly Size?: number;
  readonly SharedSize?: number;
}

interface CacheUsage {
  readonly Size?: number;
  readonly InUse?: boolean;
  readonly Shared?: boolean;
}

/** As daemons before API 1.52 answer, and as newer ones do. */
interface Answer {
  readonly LayersSize?: number;
  readonly Images?: readonly ImageUsage[] | null;
  readonly BuildCache?: readonly CacheUsage[] | null;
  readonly ImageUsage?: { readonly TotalSize?: number; readonly Items?: readonly ImageUsage[] | null };
  readonly BuildCacheUsage?: { readonly Items?: readonly CacheUsage[] | null };
}

/** Asks a daemon for the space that images, or its build cache, take. @throws DOCKER_UNAVAILABLE */
export async function readDiskUsage(docker: DockerConnection, of: 'image' | 'build-cache'): Promise<DiskUsage> {
  const path = `/system/df?type=${of}&verbose=1`;
  const answer = await callDaemon<Answer>(docker, { path, method: 'GET', timeoutMs: USAGE_MS });
  const images = answer.ImageUsage?.Items ?? answer.Images ?? [];
  const cache = answer.BuildCacheUsage?.Items ?? answer.BuildCache ?? [];
  return {
    layersBytes: answer.ImageUsage?.TotalSize ?? answer.LayersSize ?? null,
    ownBytes: new Map(
      images.map(({ Id, Size = 0, SharedSize = 0 }) => [Id, Math.max(0, Size - Math.max(0, SharedSize))]),
    ),
    buildCache: cache.map(({ Size = 0, InUse = false, Shared = false }) => ({
      ...{ bytes: Size, isInUse: InUse, isShared: Shared },
    })),
  };
}

/** Makes a call that the client has no method for, or none with its parameters. */
export async function callDaemon<Result>(
  docker: DockerConnection,
  { path, method, timeoutMs }: { readonly path: string; readonly method: 'GET' | 'POST'; readonly timeoutMs: number },
): Promise<Result> {
  const statusCodes = { 200: true, 400: 'bad parameter', 409: 'conflict', 500: 'server error' } as const;
  return await docker.call(
    `${method} ${path}`,
    (abortSignal) =>
      new Promise<Result>((resolve, reject) => {
        docker.client.modem.dial({ path, method, statusCodes, abortSignal }, (error: unknown, answer: unknown) => {
          if (error) reject(error);
          else resolve((answer ?? {}) as Result);
        });
      }),
    { timeoutMs },
  );
}
