import { DomainError } from '../errors.ts';
import { parseImageReference, type RegistryRules } from '../image-reference.ts';
import { COMPOSE_LIMITS, type ComposeApplication, type ComposeService, type ComposeSource } from './application.ts';
import { buildOf } from './build.ts';
import { dependenciesOf, inOrder, type PlacedDependency } from './dependencies.ts';
import { interpolateDocument } from './document.ts';
import { healthCheckOf } from './health.ts';
import type { Variables } from './interpolation.ts';
import { FILE_KEYS, SERVICE_KEYS } from './key-rules.ts';
import { mountsOf } from './mounts.ts';
import { checkServiceNetworks, networksOf, volumesOf } from './networks.ts';
import { environmentOf } from './pairs.ts';
import { flagOf, membersOf, type Place, refuse, refuseFound, shown, textOf } from './place.ts';
import { checkLabels, checkLogging, checkPullPolicy, checkSecurityOpt } from './platform-owned.ts';
import { portsOf } from './ports.ts';
import { containerPathOf, durationOf } from './quantities.ts';
import { readKeys, type Translation } from './read-keys.ts';
import { scaleOf } from './scale.ts';
import { wordsOf } from './split-words.ts';

/** What a caller gives with a file. */
export interface ComposeOptions {
  /** Values for the `${…}` of the file, and for variables that it names without a value. */
  readonly variables: Variables;
  /** Unset means that images come from the internet only. */
  readonly registries?: RegistryRules;
}

/**
 * Makes an application out of the raw value of a Compose file: the only door.
 *
 * An allow-list: what is not known to be good is refused by its path, whether Compose has it or not. What is harmless
 * and without effect here is left out, with a warning. `docs/compose.md` lists all of it.
 *
 * @throws INVALID_ARGUMENT whose field is a path into the file, with what was found and what is allowed, and the paths of
 * whatever else is refused. Values of variables never appear.
 */
export function translateCompose(raw: unknown, options: ComposeOptions): ComposeApplication {
  return translateDocument(interpolateDocument(raw, options.variables), options);
}

/** {@link translateCompose} for a file that has its variables put in already. */
export function translateDocument(file: Place, { variables, registries }: ComposeOptions): ComposeApplication {
  const warnings: string[] = [];
  const problems: DomainError[] = [];
  const translation: Translation = {
    variables,
    registries: registries ?? { allowedRegistries: [] },
    warn: ({ path }, reason) => warnings.push(`${path}: ${reason}`),
    problem: (refusal) => problems.push(refusal),
  };
  const application = attempt(translation, () => fileOf(file, translation));
  const [first, ...others] = problems;
  if (first || !application) throw together(first ?? refuse(file, 'no Compose file', 'services'), others);
  return { ...application, warnings };
}

/** Goes on with what a refusal leaves: nothing. */
function attempt<T>({ problem }: Translation, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    problem(error);
    return undefined;
  }
}

/** Paths that a message names beside the first one. */
const SHOWN_PROBLEMS = 20;

function together(first: DomainError, others: readonly DomainError[]): DomainError {
  const paths = [...new Set(others.map(({ field }) => field ?? ''))].filter((path) => path !== first.field);
  if (paths.length === 0) return first;
  const more = paths.length > SHOWN_PROBLEMS ? ` and ${paths.length - SHOWN_PROBLEMS} more` : '';
  const message = `${first.message}; also refused: ${paths.slice(0, SHOWN_PROBLEMS).join(', ')}${more}`;
  const { field, hint } = first;
  return new DomainError(first.code, message, { ...(field && { field }), ...(hint && { hint }) });
}

function fileOf(file: Place, translation: Translation): Omit<ComposeApplication, 'warnings'> {
  const keys = readKeys(file, FILE_KEYS, translation);
  if (keys.version) textOf(keys.version);
  const name = keys.name ? nameOf(keys.name, translation) : null;
  const volumes = volumesOf(keys.volumes, translation);
  const context: ServiceContext = {
    networks: networksOf(keys.networks, translation),
    volumes: new Set(volumes.map((volume) => volume.name)),
    translation,
  };
  return { name, services: servicesOf(keys.services, context), volumes };
}

interface ServiceContext {
  readonly networks: ReadonlySet<string>;
  readonly volumes: ReadonlySet<string>;
  readonly translation: Translation;
}

function servicesOf(place: Place | undefined, context: ServiceContext): readonly ComposeService[] {
  const allowed = `1 to ${COMPOSE_LIMITS.services} services`;
  const services = place ? membersOf(place) : [];
  if (!place || services.length === 0) {
    throw refuse(place ?? { path: 'services', written: null, value: null }, 'no service is there', allowed);
  }
  if (services.length > COMPOSE_LIMITS.services) throw refuse(place, `${services.length} services`, allowed);
  for (const [name, service] of services) checkServiceName(name, service);
  const read = services.map(([name, place]) => attempt(context.translation, () => serviceOf(name, place, context)));
  const complete = read.filter((service) => service !== undefined);
  // A service that was refused would be missed by those that depend on it.
  if (complete.length < read.length) return [];
  return inOrder(complete.map(toDependent)).map(({ service }) => service);
}

type ReadService = ComposeService & { readonly dependencies: readonly PlacedDependency[] };

function toDependent({ dependencies, ...service }: ReadService) {
  return { name: service.name, isChecked: service.healthCheck.probe.kind !== 'none', dependencies, service };
}

function serviceOf(name: string, place: Place, { networks, volumes, translation }: ServiceContext): ReadService {
  const keys = readKeys(place, SERVICE_KEYS, translation);
  if (keys.networks) checkServiceNetworks(keys.networks, networks, translation);
  if (keys.labels) checkLabels(keys.labels, translation);
  if (keys.logging) checkLogging(keys.logging, translation);
  if (keys.security_opt) checkSecurityOpt(keys.security_opt);
  if (keys.pull_policy) checkPullPolicy(keys.pull_policy, translation);
  const scale = scaleOf(keys, translation);
  const { memoryBytes } = scale.limits;
  const dependencies = keys.depends_on ? dependenciesOf(keys.depends_on, translation) : [];
  return {
    name,
    source: sourceOf(place, keys.image, keys.build, translation),
    ...commandOf(keys.command, keys.entrypoint, translation),
    environment: keys.environment ? environmentOf(keys.environment, translation.variables) : [],
    ...portsOf(keys.ports, keys.expose, translation),
    ...scale,
    healthCheck: healthCheckOf(keys.healthcheck, translation),
    volumes: mountsOf(keys.volumes, keys.tmpfs, { volumes, memoryBytes, translation }),
    dependsOn: dependencies.map(({ service, condition }) => ({ service, condition })),
    stopGracePeriodMs: keys.stop_grace_period
      ? durationOf(keys.stop_grace_period, [0, COMPOSE_LIMITS.stopGracePeriodMs])
      : null,
    user: keys.user ? userOf(keys.user) : null,
    workingDir: keys.working_dir ? containerPathOf(keys.working_dir, textOf(keys.working_dir)) : null,
    readOnly: keys.read_only ? flagOf(keys.read_only) : false,
    init: keys.init ? flagOf(keys.init) : false,
    dependencies,
  };
}

function sourceOf(
  service: Place,
  image: Place | undefined,
  build: Place | undefined,
  translation: Translation,
): ComposeSource {
  const reference = image && imageOf(image, translation.registries);
  if (build) {
    if (image) translation.warn(image, 'images that are built are named by the platform');
    return buildOf(build, translation);
  }
  if (reference === undefined) throw refuse(service, 'neither image nor build is set', 'one of image and build');
  return { kind: 'image', reference };
}

/** The refusal of a reference may show a part of it; where variables made it, it shows what is written instead. */
function imageOf(place: Place, registries: RegistryRules): string {
  try {
    return parseImageReference(place.path, textOf(place), registries);
  } catch (error) {
    if (!(error instanceof DomainError) || place.written === place.value) throw error;
    throw refuseFound(place, 'an image reference such as nginx:1.29 or ghcr.io/acme/api@sha256:…');
  }
}

function commandOf(
  command: Place | undefined,
  entrypoint: Place | undefined,
  translation: Translation,
): Pick<ComposeService, 'command' | 'entrypoint'> {
  const words = command && command.value !== null ? wordsOf(command, translation) : undefined;
  const start = entrypoint && entrypoint.value !== null ? wordsOf(entrypoint, translation) : null;
  if (command && words?.length === 0 && start === null) {
    throw refuse(command, 'an empty command', 'a command, or none to take the image’s own');
  }
  return { command: words ?? [], entrypoint: start };
}

function userOf(place: Place): string {
  const user = textOf(place, 'a text such as "1000", "1000:1000" or node');
  const part = '(?:[a-z_][a-z0-9_-]{0,31}|[0-9]{1,9})';
  if (new RegExp(`^${part}(?::${part})?$`, 'i').test(user)) return user;
  throw refuseFound(place, 'a user, or user:group, as names or numbers');
}

/** A DNS label, short enough to stand in a hostname beside other names. */
function checkServiceName(name: string, place: Place): void {
  if (isLabel(name)) return;
  const likely = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, COMPOSE_LIMITS.nameLength);
  const allowed = `lower-case letters, digits and dashes, ${COMPOSE_LIMITS.nameLength} at most`;
  const example = isLabel(likely) ? ` (for example ${likely})` : '';
  throw refuse(place, `found the name ${shown(name)}`, `${allowed}${example}`);
}

function nameOf(place: Place, { warn }: Translation): string | null {
  const name = textOf(place);
  if (isLabel(name)) return name;
  warn(place, 'left out, for it is no DNS label');
  return null;
}

function isLabel(name: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(name) && name.length <= COMPOSE_LIMITS.nameLength;
}
