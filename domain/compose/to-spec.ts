import { invalidArgument } from '../errors.ts';
import { type PlacementPolicy, withConstraints } from '../placement/policy.ts';
import type { RolloutPolicy } from '../rollout-policy.ts';
import type { ComposeInput, ContainerSettings, ServiceSpec, Source, VariableInput } from '../spec.ts';
import { checkCompose } from '../spec-change.ts';
import type { ComposeApplication, ComposeService, ComposeSource } from './application.ts';

/** The commit that a file was read from. */
export interface ComposeCommit {
  readonly url: string;
  readonly commit: string;
  readonly submodules: boolean;
  /** The folder of the file, within the repository; empty for its root. */
  readonly folder: string;
}

/** What comes with a file beside its variables. */
export interface ComposeSurroundings {
  /** The commit that services are built from; absent: they are built from folders that were uploaded. */
  readonly commit?: ComposeCommit;
  /**
   * Hex SHA-256 of the folders that services are built from. Of uploaded ones by their path, empty for the file's own; of
   * those of a commit by service, as far as they are known.
   */
  readonly contexts: Readonly<Record<string, string>>;
  readonly rollout: RolloutPolicy;
  readonly placement: PlacementPolicy;
}

/**
 * Makes a spec of an application.
 *
 * The ingress leads to the first published port of a service; further ones are kept to the other services, with a
 * warning.
 *
 * What the services say of their node holds for all of them, since they are on one.
 *
 * @throws INVALID_ARGUMENT for a folder that is not uploaded.
 */
export function toComposeInput(application: ComposeApplication, surroundings: ComposeSurroundings): ComposeInput {
  const { rollout, placement: beside } = surroundings;
  const warnings = [...application.warnings];
  const services = application.services.map((service) => {
    if (service.ports.length > 1) warnings.push(portsWarning(service));
    return toService(service, surroundings);
  });
  const placement = withConstraints(
    beside,
    application.services.flatMap(({ constraints }) => constraints),
  );
  checkCompose({ services, rollout, placement });
  return { services, rollout, placement, warnings };
}

function toService(service: ComposeService, surroundings: ComposeSurroundings): ServiceSpec<VariableInput> {
  const { name, replicas, environment, healthCheck, limits, restartPolicy, command } = service;
  return {
    ...{ name, replicas, environment, healthCheck, limits, restartPolicy, command },
    source: toSource(service, surroundings),
    port: service.ports[0] ?? null,
    container: toSettings(service),
    ...volumesOf(service),
    needs: service.dependsOn.flatMap(({ service: needed, condition }) => (condition === 'healthy' ? [needed] : [])),
  };
}

function toSettings(service: ComposeService): ContainerSettings {
  const { entrypoint, user, workingDir, readOnly, init } = service;
  return {
    ...{ entrypoint, user, workingDir, readOnly, init },
    tmpfs: service.volumes.flatMap((mount) =>
      mount.kind === 'tmpfs' ? [{ path: mount.path, sizeBytes: mount.sizeBytes }] : [],
    ),
    stopGraceMs: service.stopGracePeriodMs,
    checkPort: service.ports[0] ?? service.expose[0] ?? null,
  };
}

/** By the names of the file; where the revision is stored they become the project's. */
function volumesOf({ volumes }: ComposeService): Pick<ServiceSpec, 'volumes'> {
  const mounts = volumes.flatMap((mount) => {
    if (mount.kind !== 'volume') return [];
    const { volume, path, readOnly } = mount;
    return [{ volume, path, readOnly }];
  });
  return mounts.length === 0 ? {} : { volumes: mounts };
}

function toSource({ name, source }: ComposeService, { commit, contexts }: ComposeSurroundings): Source<VariableInput> {
  if (source.kind === 'image') return source;
  if (commit) return toFolderOf(commit, source, Object.hasOwn(contexts, name) ? contexts[name] : undefined);
  const contextSha256 = Object.hasOwn(contexts, source.context) ? contexts[source.context] : undefined;
  if (contextSha256 === undefined) throw notUploaded(name, source);
  if (!/^[0-9a-f]{64}$/.test(contextSha256)) {
    throw invalidArgument(`spec.compose.contexts[${source.context}]`, 'not a digest', '64 lower-case hex digits');
  }
  return {
    ...{ kind: 'dockerfile', contextSha256, dockerfilePath: source.dockerfile, args: source.args },
    ...(source.target === null ? {} : { target: source.target }),
  };
}

/** Its ref is the commit itself: what is built stays the same, whatever becomes of the branch. */
function toFolderOf(
  { url, commit, submodules, folder }: ComposeCommit,
  { context, dockerfile, target, args }: Extract<ComposeSource, { kind: 'build' }>,
  filesSha256: string | undefined,
): Source<VariableInput> {
  return {
    ...{ kind: 'git', url, ref: commit, submodules, dockerfilePath: dockerfile, args },
    subdirectory: [folder, context].filter((path) => path !== '').join('/'),
    ...(target === null ? {} : { target }),
    ...(filesSha256 === undefined ? {} : { filesSha256 }),
  };
}

function notUploaded(service: string, { context }: Extract<ComposeSource, { kind: 'build' }>) {
  const folder = context === '' ? 'the folder of the file' : context;
  const allowed = `the folder's digest in spec.compose.contexts, under ${JSON.stringify(context)}`;
  return invalidArgument(`services.${service}.build`, `${folder} is not uploaded`, allowed);
}

function portsWarning({ name, ports }: ComposeService): string {
  const others = ports.slice(1).join(', ');
  return `services.${name}.ports: the ingress leads to ${ports[0]}; ${others} only to the other services`;
}
