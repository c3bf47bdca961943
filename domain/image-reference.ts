import { invalidArgument } from './errors.ts';
import { checkHost } from './public-host.ts';

/** Longest repository name with its registry that Docker takes. */
const MAX_NAME_LENGTH = 255;

/** Words of `distribution/reference`, the grammar that every Docker version follows. */
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** How references and the daemon call Docker Hub. */
const DOCKER_HUB = 'docker.io';

/** Which registries a caller may name although they look like a part of the platform's own network. */
export interface RegistryRules {
  /** `host` or `host:port`, lower case, exactly as references name them; `all` where nothing is fetched by the answer. */
  readonly allowedRegistries: readonly string[] | 'all';
}

/**
 * Checks an image reference and gives it its one spelling: with a tag wherever it names neither tag nor digest, so that
 * a daemon can never take it for the beginning of an image id.
 *
 * Refused are registries on the platform's own network (the node would fetch from there on a caller's behalf) and the
 * repositories in which the platform keeps what it built for somebody.
 *
 * @throws INVALID_ARGUMENT with the field.
 */
export function parseImageReference(field: string, reference: string, rules: RegistryRules): string {
  const refuse = (finding: string, allowed: string) => invalidArgument(field, finding, allowed);
  const shape = 'an image reference such as nginx:1.29 or ghcr.io/acme/api@sha256:…';
  const [named = '', digest, ...rest] = reference.split('@');
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  const { registry, path } = splitRegistry(name);

  if (name.length === 0 || rest.length > 0) throw refuse(`found ${shown(reference)}`, shape);
  if (name.length > MAX_NAME_LENGTH) {
    throw refuse(`the name has ${name.length} characters`, `at most ${MAX_NAME_LENGTH}`);
  }
  if (tag !== undefined && !TAG.test(tag))
    throw refuse(`found tag ${shown(tag)}`, 'letters, digits, _ . - (128 at most)');
  if (digest !== undefined && !DIGEST.test(digest)) {
    throw refuse(`found digest ${shown(digest)}`, 'sha256: and 64 hex digits');
  }
  if (!path.split('/').every((component) => COMPONENT.test(component))) {
    throw refuse(`found repository ${shown(path)}`, 'lower-case letters and digits, separated by . _ - and /');
  }
  if (registry === undefined && path === 'sha256') throw refuse('found an image id', shape);
  if (registry !== undefined) checkRegistry(field, registry, rules);
  if (isPlatformRepository(registry, path)) throw refuse('found a repository of the platform', 'an image of your own');
  return tag === undefined && digest === undefined ? `${name}:latest` : reference;
}

function checkRegistry(field: string, host: string, { allowedRegistries: allowed }: RegistryRules): void {
  if (allowed !== 'all') checkHost(field, { kind: 'registry', host, allowed });
}

/**
 * Checks the host of a registry and gives it its one spelling: lower case, `docker.io` for Docker Hub.
 *
 * Allowed are the registries that image references may name, so a credential cannot be kept for any other.
 *
 * @throws INVALID_ARGUMENT with the field.
 */
export function parseRegistryHost(field: string, host: string, rules: RegistryRules): string {
  const { registry } = splitRegistry(`${host}/x`);
  if (registry !== host) {
    throw invalidArgument(field, `found ${shown(host)}`, 'a registry such as ghcr.io or registry.example.com:5000');
  }
  checkRegistry(field, host, rules);
  return toRegistryHost(host);
}

/** Says which registry a reference leads to, spelt as {@link parseRegistryHost} does. */
export function registryOf(reference: string): string {
  return toRegistryHost(splitRegistry(reference).registry ?? DOCKER_HUB);
}

function toRegistryHost(registry: string): string {
  return isDockerHub(registry) ? DOCKER_HUB : registry.toLowerCase();
}

function isDockerHub(registry: string): boolean {
  return /^(index\.)?docker\.io$/i.test(registry);
}

/** The part before the first slash is a registry when it can be nothing else: Docker's own rule. */
function splitRegistry(name: string): { registry: string | undefined; path: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const isRegistry = slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  return isRegistry ? { registry: first, path: name.slice(slash + 1) } : { registry: undefined, path: name };
}

/** `docker.io/x` and `x` are the same to Docker. */
function isPlatformRepository(registry: string | undefined, path: string): boolean {
  return (registry === undefined || isDockerHub(registry)) && /^(library\/)?obiente-/.test(path);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
