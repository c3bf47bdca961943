import { parseEnv } from 'node:util';
import { BUILD_KINDS, type BuildKind } from '../domain/source-detection.ts';
import type { VolumeMount } from '../domain/spec.ts';
import type { AppFile, AppHealth, AppRollout } from './app-file.ts';
import { refuse } from './failures.ts';
import { type PlacementOptions, type PlacementWish, readPlacement } from './placement-options.ts';
import { parseCores, parseMemory, parseWhole } from './quantities.ts';
import { readVolumes } from './volume-options.ts';

/** What was typed after `obiente deploy`, unparsed. */
export interface DeployOptions extends PlacementOptions {
  readonly image?: string;
  readonly pull?: string;
  readonly git?: string;
  readonly ref?: string;
  readonly subdirectory?: string;
  readonly submodules?: boolean;
  readonly dockerfile?: string;
  readonly compose?: string | true;
  readonly builder?: string;
  readonly name?: string;
  readonly project?: string;
  readonly replicas?: string;
  readonly port?: string | false;
  readonly env?: readonly string[];
  readonly unsetEnv?: readonly string[];
  readonly healthPath?: string;
  readonly healthStatus?: string;
  readonly healthCommand?: string;
  readonly health?: boolean;
  readonly cpu?: string;
  readonly memory?: string;
  readonly restart?: string;
  readonly command?: readonly string[];
  readonly volume?: readonly string[] | false;
}

/** What `obiente deploy` takes beside the options that make the spec. */
export interface DeployCommandOptions extends DeployOptions {
  readonly envFile?: readonly string[];
  readonly replace?: boolean;
  /** False with `--no-wait`. */
  readonly wait: boolean;
  readonly detach?: boolean;
  readonly timeout?: string;
  readonly idempotencyKey?: string;
  readonly reason?: string;
  readonly supersede?: boolean;
}

/** When the registry is asked for an image that a node has; `auto`: by its tag. */
export type Pull = NonNullable<AppFile['pull']>;

/** A repository, as far as the caller names it; what is left out is the contract's default. */
export interface GitWish {
  readonly url: string;
  readonly ref: string;
  readonly subdirectory: string;
  readonly submodules: boolean;
}

/** What the caller wants, from the file and the options; what neither names stays as it is. */
export interface Wishes {
  readonly name: string | undefined;
  readonly project: string | undefined;
  readonly image: string | undefined;
  readonly pull: Pull | undefined;
  readonly git: GitWish | undefined;
  readonly dockerfile: string | undefined;
  /** Path of a Compose file; `true`: the one in the folder. */
  readonly compose: string | true | undefined;
  /** How a folder or a repository is built; without it, that is looked for. */
  readonly builder: BuildKind | undefined;
  readonly replicas: number | undefined;
  /** `null`: no port any more. */
  readonly port: number | null | undefined;
  readonly cpuCores: number | undefined;
  readonly memoryBytes: bigint | undefined;
  readonly restart: 'always' | 'on-failure' | 'never' | undefined;
  readonly command: readonly string[] | undefined;
  readonly volumes: readonly VolumeMount[] | undefined;
  readonly health: AppHealth | undefined;
  readonly rollout: AppRollout | undefined;
  readonly placement: PlacementWish | undefined;
  /** Variables to set, by name. */
  readonly variables: ReadonlyMap<string, string>;
  readonly unset: ReadonlySet<string>;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,255}$/;

/** Reads options over the file's settings. @throws INVALID_ARGUMENT naming the option at fault. */
export function readWishes(input: {
  options: DeployOptions;
  app: AppFile;
  /** Texts of the files given by `--env-file`, in order. */
  envFiles: readonly string[];
  /** The caller's own environment, for variables named without a value. */
  env: Record<string, string | undefined>;
}): Wishes {
  const { options, app, envFiles, env } = input;
  const { replicas, port } = options;
  const image = options.image ?? app.image;
  return {
    name: options.name ?? app.name,
    project: options.project ?? app.project,
    image,
    pull: readPull(options.pull, app.pull, image),
    git: readGit(options, app.git),
    dockerfile: options.dockerfile ?? app.dockerfile,
    ...readBuilder(options, app),
    replicas: replicas === undefined ? app.replicas : parseWhole('--replicas', replicas, { min: 0, max: 10_000 }),
    port: readPort(port, app.port),
    cpuCores: options.cpu === undefined ? app.cpu : parseCores('--cpu', options.cpu),
    memoryBytes: options.memory === undefined ? app.memory : parseMemory('--memory', options.memory),
    restart: options.restart === undefined ? app.restart : readRestart(options.restart),
    command: options.command ?? app.command,
    volumes: readVolumes(options.volume, app.volumes),
    health: readHealth(options) ?? app.health,
    rollout: app.rollout,
    placement: readPlacement(options, app.placement),
    variables: readVariables({ app, envFiles, typed: options.env ?? [], env }),
    unset: new Set(options.unsetEnv ?? []),
  };
}

/** To build by a Compose file is to ask for it. */
function readBuilder(options: DeployOptions, app: AppFile): Pick<Wishes, 'builder' | 'compose'> {
  const builder = options.builder === undefined ? app.builder : parseBuilder(options.builder);
  const compose = options.compose ?? app.compose;
  const dockerfile = options.dockerfile ?? app.dockerfile;
  const isOther = (file: unknown, kind: BuildKind) => file !== undefined && builder !== undefined && builder !== kind;
  if (isOther(dockerfile, 'dockerfile')) throw refuse('--builder', `${builder} is not possible with --dockerfile`);
  if (isOther(compose, 'compose')) throw refuse('--builder', `${builder} is not possible with --compose`);
  if (builder !== undefined && (options.image ?? app.image) !== undefined) {
    throw refuse('--builder', 'is for folders and repositories, and an image is deployed');
  }
  return { builder, compose: builder === 'compose' ? (compose ?? true) : compose };
}

function parseBuilder(text: string): BuildKind {
  const builder = BUILD_KINDS.find((kind) => kind === text);
  if (builder !== undefined) return builder;
  throw refuse('--builder', `"${text.slice(0, 80)}" is not known; known are ${BUILD_KINDS.join(', ')}`);
}

/** Another repository than the file's has nothing to do with what the file says about that one. */
function readGit(options: DeployOptions, fromFile: AppFile['git']): GitWish | undefined {
  const app = typeof fromFile === 'string' ? { url: fromFile } : fromFile;
  const url = options.git ?? app?.url;
  if (url === undefined) {
    const typed = (['ref', 'subdirectory', 'submodules'] as const).find((name) => options[name] !== undefined);
    if (typed) throw refuse(`--${typed}`, 'is for repositories', 'Name one with --git.');
    return undefined;
  }
  const { ref = '', subdirectory = '', submodules = false } = url === app?.url ? app : {};
  return {
    url,
    ref: options.ref ?? ref,
    subdirectory: options.subdirectory ?? subdirectory,
    submodules: options.submodules ?? submodules,
  };
}

function readPort(typed: string | false | undefined, fromFile: number | undefined): number | null | undefined {
  if (typed === false) return null;
  return typed === undefined ? fromFile : parseWhole('--port', typed, { min: 1, max: 65_535 });
}

function readPull(typed: string | undefined, fromFile: Pull | undefined, image: string | undefined): Pull | undefined {
  if (typed === undefined) return fromFile;
  if (image === undefined) throw refuse('--pull', 'is for images, and a folder is deployed');
  if (typed === 'always' || typed === 'if-not-present' || typed === 'auto') return typed;
  throw refuse('--pull', `"${typed}" is not allowed; allowed are always, if-not-present and auto`);
}

function readRestart(text: string): 'always' | 'on-failure' | 'never' {
  if (text === 'always' || text === 'on-failure' || text === 'never') return text;
  throw refuse('--restart', `"${text}" is not allowed; allowed are always, on-failure and never`);
}

function readHealth(options: DeployOptions): AppHealth | undefined {
  const { health, healthPath, healthCommand, healthStatus } = options;
  const given = [health === false, healthPath !== undefined, healthCommand !== undefined].filter(Boolean).length;
  if (given > 1) throw refuse('--health-…', 'only one of --health-path, --health-command and --no-health is possible');
  if (healthStatus !== undefined && healthPath === undefined) throw refuse('--health-status', 'needs --health-path');
  if (health === false) return 'none';
  if (healthCommand !== undefined) return { command: ['/bin/sh', '-c', healthCommand] };
  if (healthPath === undefined) return undefined;
  if (!healthPath.startsWith('/')) throw refuse('--health-path', `"${healthPath}" does not begin with /`);
  if (healthStatus === undefined) return { path: healthPath };
  return { path: healthPath, status: parseWhole('--health-status', healthStatus, { min: 100, max: 599 }) };
}

/** Later ones win: the file's, then those of `--env-file`, then those of `--env`. */
function readVariables(input: {
  app: AppFile;
  envFiles: readonly string[];
  typed: readonly string[];
  env: Record<string, string | undefined>;
}): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  const put = (name: string, value: string | null): void => {
    if (!NAME.test(name)) {
      throw refuse('--env', `"${name}" is no name of a variable; allowed are letters, digits and _, no digit first`);
    }
    variables.set(name, value ?? ownVariable(name, input.env));
  };
  for (const [name, value] of Object.entries(input.app.env ?? {})) put(name, value === null ? null : String(value));
  for (const text of input.envFiles) {
    for (const [name, value] of Object.entries(parseEnv(text))) put(name, value ?? '');
  }
  for (const item of input.typed) {
    const at = item.indexOf('=');
    if (at === -1) put(item, null);
    else put(item.slice(0, at), item.slice(at + 1));
  }
  return variables;
}

function ownVariable(name: string, env: Record<string, string | undefined>): string {
  const value = env[name];
  if (value !== undefined) return value;
  throw refuse('--env', `${name} has no value, and your own environment has none either`, `Write ${name}=value.`);
}
