import type { Readable } from 'node:stream';
import { createLineSplitter } from '../../domain/build-log.ts';
import { DomainError, isDomainError } from '../../domain/errors.ts';
import { createStallGuard } from '../streams/stall-guard.ts';
import { answerOf, type DockerConnection, statusOf } from './connection.ts';
import { readJsonLines } from './json-lines.ts';

/** A build step that prints nothing for this long has hung; compilers are silent for minutes. */
const BUILD_SILENCE_MS = 10 * 60_000;

/** What the builder itself says begins a line, also where a step has left one open. */
const BUILDER_SAYS = /^(Step \d+\/\d+ : | ---> |Removing intermediate container |Successfully (built|tagged) )/;

/** A build. */
export interface BuildRequest {
  /** The context as a tar archive, compressed or not. */
  readonly context: Readable;
  readonly dockerfilePath: string;
  /** Stage to stop at; `undefined` is the last one. */
  readonly target?: string | undefined;
  /** Build arguments, by name. */
  readonly args: Readonly<Record<string, string>>;
  readonly tag: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly limits: { readonly cpuCores: number; readonly memoryBytes: number };
  readonly signal: AbortSignal;
  /** Told of every line that the build prints, as it prints it; of a line that is very long its beginning. */
  readonly onLine: (line: string) => void;
  /** Told of what the daemon itself says, which no step of a build can print. */
  readonly onStatus?: ((status: string) => void) | undefined;
}

/** Builds on one daemon. */
export interface DockerBuilds {
  /**
   * Builds an image; aborting the signal stops the build itself. Layers of a failed build are removed.
   *
   * @throws BUILD_FAILED (final) with the instruction that failed; the reason of the signal; whatever the context's
   * stream failed with.
   */
  buildImage(request: BuildRequest): Promise<{ readonly imageId: string }>;
}

interface BuildMessage {
  readonly stream?: string;
  readonly status?: string;
  readonly error?: string;
  readonly aux?: { readonly ID?: string };
}

/** Creates the part of the adapter that builds. */
export function createDockerBuilds(docker: DockerConnection): DockerBuilds {
  return {
    buildImage: async (request) => {
      const guard = createStallGuard(BUILD_SILENCE_MS, request.signal);
      const output = createLineSplitter();
      const layers: string[] = [];
      let imageId: string | undefined;
      let broken: unknown;
      request.context.once('error', (error) => {
        broken = error;
      });
      try {
        const stream = await start(docker, request, guard.signal);
        for await (const message of readJsonLines<BuildMessage>(stream, guard.seen)) {
          imageId = message.aux?.ID ?? imageId;
          if (message.status !== undefined) request.onStatus?.(message.status);
          const text = message.stream ?? message.status ?? '';
          for (const line of [...(BUILDER_SAYS.test(text) ? output.flush() : []), ...output.push(text)]) {
            request.onLine(line);
            layers.push(...(/^ ---> ([0-9a-f]{12,64})$/.exec(line)?.slice(1) ?? []));
          }
          if (message.error) throw failed(message.error);
        }
        if (imageId !== undefined) return { imageId };
        throw new DomainError('DOCKER_UNAVAILABLE', 'cannot build the image: docker broke the build off');
      } catch (error) {
        await removeLayers(docker, layers);
        request.signal.throwIfAborted();
        if (broken !== undefined) throw broken;
        if (guard.stalled()) throw failed(`it printed nothing for ${BUILD_SILENCE_MS / 60_000} min`);
        throw toBuildError(error);
      } finally {
        guard.stop();
        for (const line of output.flush()) request.onLine(line);
      }
    },
  };
}

async function start(
  docker: DockerConnection,
  request: BuildRequest,
  signal: AbortSignal,
): Promise<AsyncIterable<Buffer>> {
  const { cpuCores, memoryBytes } = request.limits;
  const options = {
    t: request.tag,
    dockerfile: request.dockerfilePath,
    labels: { ...request.labels },
    buildargs: { ...request.args },
    ...(request.target === undefined ? {} : { target: request.target }),
    memory: memoryBytes,
    memswap: memoryBytes,
    cpuperiod: 100_000,
    cpuquota: Math.round(cpuCores * 100_000),
    networkmode: 'default',
    rm: true,
    forcerm: true,
    version: '1' as const,
    abortSignal: signal,
  };
  const answer = docker.call('build the image', () => docker.client.buildImage(request.context, options), {
    timeoutMs: BUILD_SILENCE_MS,
    signal,
  });
  return (await answer) as AsyncIterable<Buffer>;
}

/** Newest first, since a layer goes only after those on top of it; named images and those in use are left alone. */
async function removeLayers(docker: DockerConnection, layers: readonly string[]): Promise<void> {
  for (const id of layers.toReversed()) {
    try {
      const image = docker.impatient.getImage(id);
      const { RepoTags: tags, RepoDigests: digests } = await docker.call(`inspect layer ${id}`, () => image.inspect());
      if ((tags?.length ?? 0) + (digests?.length ?? 0) > 0) return;
      await docker.call(`remove layer ${id}`, () => image.remove({ noprune: false }));
    } catch {
      // A layer that another build uses, or that went with the one above it. The build's own error matters more.
    }
  }
}

function toBuildError(error: unknown): unknown {
  const status = statusOf(error);
  if (status !== undefined && (status < 500 || /dockerfile/i.test(answerOf(error)))) {
    return failed(answerOf(error));
  }
  if (isDomainError(error)) return error;
  return new DomainError('DOCKER_UNAVAILABLE', 'cannot build the image: docker broke the build off', { cause: error });
}

function failed(reason: string): DomainError {
  return new DomainError('BUILD_FAILED', `the image does not build: ${reason.trim()}`, {
    hint: 'Mend the Dockerfile or its context, and deploy again.',
  });
}
