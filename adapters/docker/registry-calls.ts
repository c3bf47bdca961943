import { DomainError, isDomainError } from '../../domain/errors.ts';
import { registryOf } from '../../domain/image-reference.ts';
import { maskValues } from '../../domain/mask-values.ts';
import type { RegistryCredential } from '../../domain/registry-credential.ts';
import { createStallGuard } from '../streams/stall-guard.ts';
import { answerOf, type DockerConnection, statusOf } from './connection.ts';
import { readJsonLines } from './json-lines.ts';

/** Something to ask a registry for, and on whose behalf. */
export interface RegistryCall {
  /** Repository with its registry, without tag and digest. */
  readonly repository: string;
  /** A tag, or `sha256:…`. */
  readonly version: string;
  readonly credential: RegistryCredential | null;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((status: string) => void) | undefined;
}

/** What a daemon asks registries for. Errors carry the registry's answer, without the credential wherever it stands. */
export interface RegistryCalls {
  /**
   * Asks the registry which image a name stands for, with this credential and no other. An answer proves that whoever
   * has the credential may pull it; a pull by digest proves nothing where the daemon has the image already.
   *
   * @returns the digest. @throws IMAGE_UNAVAILABLE (final) with the registry's answer.
   */
  resolve(call: RegistryCall): Promise<string>;
  /**
   * Pulls an image.
   *
   * @returns its digest, as far as the daemon says it. @throws as {@link RegistryCalls.resolve}.
   */
  pull(call: RegistryCall): Promise<string | undefined>;
  /** Pushes an image that has this name on the daemon. @returns its digest. @throws as {@link RegistryCalls.resolve}. */
  push(call: RegistryCall): Promise<string>;
}

interface PullMessage {
  readonly status?: string;
  readonly id?: string;
  readonly error?: string;
  readonly aux?: { readonly Digest?: string };
}

interface DistributionAnswer {
  readonly Descriptor?: { readonly digest?: string };
}

/** Creates the calls. One that says nothing for `silenceMs` has hung, and is given up. */
export function createRegistryCalls(docker: DockerConnection, silenceMs: number): RegistryCalls {
  const guarded = async <Answer>(
    call: RegistryCall,
    run: (guard: ReturnType<typeof createStallGuard>) => Promise<Answer>,
  ): Promise<Answer> => {
    const guard = createStallGuard(silenceMs, call.signal);
    try {
      return await run(guard);
    } catch (error) {
      call.signal?.throwIfAborted();
      if (guard.stalled()) throw unavailable(call, `nothing was received for ${silenceMs / 1000} s`);
      if (isDomainError(error) && statusOf(error) === undefined) throw error;
      if (statusOf(error) !== undefined) throw unavailable(call, answerOf(error));
      const what = `cannot get image ${nameOf(call)}: docker broke off`;
      throw new DomainError('DOCKER_UNAVAILABLE', what, { cause: error });
    } finally {
      guard.stop();
    }
  };

  return {
    resolve: (call) =>
      guarded(call, async ({ signal }) => {
        const name = nameOf(call);
        const answer = await docker.call(`ask for image ${name}`, (abortSignal) => ask(docker, call, abortSignal), {
          timeoutMs: 2 * silenceMs,
          signal,
        });
        const digest = answer.Descriptor?.digest;
        if (digest?.startsWith('sha256:')) return digest;
        throw unavailable(call, 'the registry did not say which image that is');
      }),
    pull: (call) =>
      guarded(call, async ({ signal, seen }) => {
        const { repository: fromImage, version: tag, onProgress } = call;
        const request = { fromImage, tag, abortSignal: signal, ...authOf(call) };
        const options = { timeoutMs: 2 * silenceMs, signal };
        const name = nameOf(call);
        const stream = await docker.call(`pull image ${name}`, () => docker.client.createImage(request), options);
        let digest: string | undefined;
        for await (const message of readJsonLines<PullMessage>(stream as AsyncIterable<Buffer>, seen)) {
          if (message.error) throw unavailable(call, message.error);
          if (!message.status) continue;
          digest = /^Digest: (sha256:[0-9a-f]{64})$/.exec(message.status)?.[1] ?? digest;
          onProgress?.(masked(`${message.status}${message.id ? ` ${message.id}` : ''}`, call));
        }
        return digest;
      }),
    push: (call) =>
      guarded(call, async ({ signal, seen }) => {
        const image = docker.client.getImage(call.repository);
        const request = { tag: call.version, abortSignal: signal, ...pushAuthOf(call) };
        const options = { timeoutMs: 2 * silenceMs, signal };
        const stream = await docker.call(`push image ${nameOf(call)}`, () => image.push(request), options);
        let digest: string | undefined;
        for await (const message of readJsonLines<PullMessage>(stream as AsyncIterable<Buffer>, seen)) {
          if (message.error) throw unavailable(call, message.error);
          digest = message.aux?.Digest ?? digest;
          if (message.status) call.onProgress?.(masked(message.status, call));
        }
        if (digest !== undefined) return digest;
        throw unavailable(call, 'the registry did not say which image it was given');
      }),
  };
}

/** Docker refuses a push without any, even where the registry asks nobody who they are. */
function pushAuthOf(call: RegistryCall) {
  return {
    authconfig: { username: '', password: '', serveraddress: registryOf(call.repository), ...authOf(call).authconfig },
  };
}

/** The client's own method for this cannot be aborted. */
function ask(docker: DockerConnection, call: RegistryCall, abortSignal: AbortSignal): Promise<DistributionAnswer> {
  const request = {
    path: `/distribution/${nameOf(call)}/json`,
    method: 'GET',
    statusCodes: { 200: true, 401: 'unauthorized', 403: 'forbidden', 404: 'not found', 500: 'server error' },
    ...authOf(call),
    abortSignal,
  } as const;
  return new Promise((resolve, reject) => {
    docker.client.modem.dial(request, (error: unknown, answer: unknown) => {
      if (error) reject(error);
      else resolve((answer ?? {}) as DistributionAnswer);
    });
  });
}

/** Goes into a header (`X-Registry-Auth`): the client keeps it out of the address and the body. */
function authOf({ repository, credential }: RegistryCall) {
  if (!credential) return {};
  const { username, password } = credential;
  return { authconfig: { username, password, serveraddress: registryOf(repository) } };
}

/** Repository with its tag or digest, as the daemon takes it. */
export function nameOf({ repository, version }: Pick<RegistryCall, 'repository' | 'version'>): string {
  return `${repository}${version.startsWith('sha256:') ? '@' : ':'}${version}`;
}

function unavailable(call: RegistryCall, answer: string): DomainError {
  const host = registryOf(call.repository);
  const hint = call.credential
    ? `Check the name, and the credential that is stored for ${host}.`
    : `Check the name. If ${host} wants to know who pulls, store a credential with "obiente registries add ${host}".`;
  return imageUnavailable(nameOf(call), masked(answer, call).slice(0, LONGEST_ANSWER), hint);
}

/** Says that an image cannot be had. */
export function imageUnavailable(name: string, answer: string, hint: string): DomainError {
  return new DomainError('IMAGE_UNAVAILABLE', `cannot get image ${name}: ${answer}`, { hint });
}

/** Characters of an answer that are told; it may be a whole page of HTML. */
const LONGEST_ANSWER = 2_000;

/** A registry may say anything in its answers, what it was sent among it. */
function masked(text: string, { credential }: RegistryCall): string {
  if (!credential) return text;
  const { username, password } = credential;
  const basic = Buffer.from(`${username}:${password}`);
  return maskValues(text, [
    password,
    encodeURIComponent(password),
    basic.toString('base64'),
    basic.toString('base64url'),
  ]);
}
