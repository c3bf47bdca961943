import { invalidArgument } from './errors.ts';
import { type GitRules, parseGitRef, parseGitUrl, parseSubdirectory } from './git-source.ts';
import { parseImageReference, type RegistryRules } from './image-reference.ts';
import { parsePlacementPolicy, type RawPlacementPolicy } from './placement/policy.ts';
import { parseRolloutPolicy, type RolloutPolicy } from './rollout-policy.ts';
import {
  DEFAULT_HEALTH_CHECK,
  DEFAULT_LIMITS,
  type DockerfileSource,
  type GitSource,
  type HealthCheck,
  type HealthProbe,
  MIN_MEMORY_BYTES,
  type ResourceLimits,
  type RestartPolicy,
  type Source,
  SPEC_LIMITS,
  type SpecInput,
  type VariableInput,
  type VolumeMount,
} from './spec.ts';
import { checkCompose, checkParts } from './spec-change.ts';
import { parseVolumes } from './volumes.ts';

/** A spec as it came in, whatever the transport: nothing of it is trusted, and what is `undefined` gets a default. */
export interface RawSpec {
  readonly source: Source<VariableInput> | undefined;
  readonly replicas: number | undefined;
  readonly port: number | undefined;
  readonly environment: readonly VariableInput[];
  readonly healthCheck: RawHealthCheck | undefined;
  readonly cpuCores: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly restartPolicy: RestartPolicy | undefined;
  readonly command: readonly string[];
  readonly volumes?: readonly VolumeMount[];
  readonly rollout: RolloutPolicy | undefined;
  readonly placement?: RawPlacementPolicy | undefined;
}

/** Which places on the platform's own network a caller may name all the same. */
export interface SourceRules {
  readonly registries: RegistryRules;
  readonly git: GitRules;
}

/** A health check as it came in. Times in milliseconds. */
export interface RawHealthCheck {
  readonly probe: HealthProbe | undefined;
  readonly intervalMs: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly retries: number | undefined;
  readonly startPeriodMs: number | undefined;
}

/** Largest memory limit: 16 TiB, more than any Docker host has. */
const MAX_MEMORY_BYTES = 2 ** 44;

/** Parts of a spec that can be changed one by one; variables have words of their own. */
export type SpecPart = keyof Omit<SpecInput, 'environment'>;

type Parsers = { [Part in SpecPart]-?: (raw: RawSpec, rules: SourceRules) => SpecInput[Part] };

const PARSERS: Parsers = {
  source: ({ source }, rules) => parseSource(source, rules),
  replicas: ({ replicas }) =>
    replicas === undefined ? null : wholeNumber('spec.replicas', replicas, [0, SPEC_LIMITS.replicas]),
  port: ({ port }) => (port === undefined ? null : wholeNumber('spec.port', port, [1, 65_535])),
  healthCheck: ({ healthCheck }) => parseHealthCheck(healthCheck),
  limits: (raw) => parseLimits(raw),
  restartPolicy: ({ restartPolicy }) => restartPolicy ?? 'always',
  command: ({ command }) => parseCommand('spec.command', command, SPEC_LIMITS.commandBytes),
  volumes: ({ volumes }) => parseVolumes('spec.volumes', volumes ?? []),
  rollout: ({ rollout }) => parseRolloutPolicy('spec.rollout', rollout),
  placement: ({ placement }) => parsePlacementPolicy('spec.placement', placement),
};

/**
 * Makes a complete, valid spec out of one that came in: the only door, with {@link parseSpecParts}.
 *
 * It repeats what the contract says field by field, because callers of this function need not come through it, and adds
 * what the contract cannot say: sums, duplicates, fields that need each other.
 *
 * @throws INVALID_ARGUMENT naming the field, what was found and what is allowed. Values of variables never appear.
 */
export function parseSpec(raw: RawSpec, rules: SourceRules): SpecInput {
  const parts = parseSpecParts(raw, rules, Object.keys(PARSERS) as SpecPart[]);
  const spec = {
    ...(parts as Required<typeof parts>),
    environment: parseEnvironment('spec.environment', raw.environment),
  };
  if (spec.source.kind === 'git' && spec.source.composePath !== undefined) checkCompose({ ...spec, services: [] });
  else checkParts(spec);
  return spec;
}

/** Makes some parts of a spec valid, each by itself. @throws INVALID_ARGUMENT */
export function parseSpecParts(
  raw: RawSpec,
  rules: SourceRules,
  parts: readonly SpecPart[],
): Partial<Omit<SpecInput, 'environment'>> {
  return Object.fromEntries(parts.map((part) => [part, PARSERS[part](raw, rules)]));
}

function parseSource(source: RawSpec['source'], rules: SourceRules): Source<VariableInput> {
  if (!source)
    throw invalidArgument('spec.source', 'nothing is set', 'one of image, dockerfile, static, nixpacks, git, compose');
  if (source.kind === 'image') {
    return { ...source, reference: parseImageReference('spec.image.reference', source.reference, rules.registries) };
  }
  if (source.kind === 'git') return parseGit(source, rules.git);
  checkDigest(`spec.${source.kind}.context_sha256`, source.contextSha256);
  if (source.kind === 'dockerfile') return parseDockerfile(source);
  if (source.kind === 'nixpacks') {
    if (source.args) parseEnvironment('spec.nixpacks.args', source.args);
    return source;
  }
  return { ...source, folder: parseSubdirectory('spec.static.folder', source.folder) };
}

function parseGit(source: GitSource<VariableInput>, rules: GitRules): GitSource<VariableInput> {
  const { dockerfilePath, composePath } = source;
  checkBuild('spec.git', source);
  if (composePath !== undefined) checkBesideCompose(source);
  else if (source.builder !== undefined && source.builder !== 'dockerfile') checkBesideBuilder(source);
  return {
    ...source,
    url: parseGitUrl('spec.git.url', source.url, rules).text,
    ref: parseGitRef('spec.git.ref', source.ref || 'HEAD'),
    subdirectory: parseSubdirectory('spec.git.subdirectory', source.subdirectory),
    ...(dockerfilePath === undefined ? {} : { dockerfilePath: parseDockerfilePath('spec.git', dockerfilePath) }),
    ...(composePath === undefined ? {} : { composePath: parseComposePath('spec.git.compose_path', composePath) }),
  };
}

/** A page and nixpacks have no use for what belongs to a Dockerfile. */
function checkBesideBuilder({ builder, dockerfilePath, target, args = [] }: GitSource<VariableInput>): void {
  const set = {
    dockerfile_path: dockerfilePath !== undefined,
    target: target !== undefined,
    args: builder === 'static' && args.length > 0,
  };
  const beside = Object.entries(set).find(([, isSet]) => isSet)?.[0];
  if (beside !== undefined)
    throw invalidArgument(`spec.git.${beside}`, `is set beside builder ${builder}`, 'one of the two');
}

function checkBesideCompose({ builder, dockerfilePath, target, args = [] }: GitSource<VariableInput>): void {
  const set = {
    builder: builder !== undefined,
    dockerfile_path: dockerfilePath !== undefined,
    target: target !== undefined,
    args: args.length > 0,
  };
  const beside = Object.entries(set).find(([, isSet]) => isSet)?.[0];
  if (beside === undefined) return;
  throw invalidArgument(
    `spec.git.${beside}`,
    'is set beside compose_path',
    'one of the two; the file says how to build',
  );
}

function parseComposePath(field: string, path: string): string {
  return path === '' ? '' : parseInnerPath(field, path, 'a relative path inside the folder, without . and ..');
}

function parseDockerfile(source: DockerfileSource<VariableInput>): DockerfileSource<VariableInput> {
  checkBuild('spec.dockerfile', source);
  return { ...source, dockerfilePath: parseDockerfilePath('spec.dockerfile', source.dockerfilePath || 'Dockerfile') };
}

function checkDigest(field: string, sha256: string): void {
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw invalidArgument(field, 'not a digest', '64 lower-case hex digits');
}

function checkBuild(field: string, { target, args }: Pick<GitSource<VariableInput>, 'target' | 'args'>): void {
  if (target !== undefined && !/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(target)) {
    const finding = `found ${JSON.stringify(target.slice(0, 80))}`;
    throw invalidArgument(`${field}.target`, finding, 'the name of a stage: letters, digits, _ . - (128 at most)');
  }
  if (args) parseEnvironment(`${field}.args`, args);
}

function parseDockerfilePath(field: string, path: string): string {
  return parseInnerPath(`${field}.dockerfile_path`, path, 'a relative path inside the context, without . and ..');
}

function parseInnerPath(field: string, path: string, allowed: string): string {
  const parts = path.split('/');
  const isInside = path.length <= 255 && parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (isInside && !hasControlCharacter(path)) return path;
  throw invalidArgument(field, `found ${JSON.stringify(path.slice(0, 80))}`, allowed);
}

/** Makes variables valid, by themselves and in sum. @throws INVALID_ARGUMENT */
export function parseEnvironment(list: string, variables: readonly VariableInput[]): readonly VariableInput[] {
  if (variables.length > SPEC_LIMITS.variables) {
    throw invalidArgument(list, `${variables.length} variables`, `at most ${SPEC_LIMITS.variables}`);
  }
  const seen = new Set<string>();
  let bytes = 0;
  for (const [index, { name, value }] of variables.entries()) {
    const field = `${list}[${index}]`;
    checkVariableName(`${field}.name`, name, seen);
    seen.add(name);
    if (value?.includes('\0')) throw invalidArgument(`${field}.value`, 'holds a NUL character', 'any other character');
    const size = byteLength(value ?? '');
    if (size > SPEC_LIMITS.variableBytes) {
      throw invalidArgument(`${field}.value`, `${size} bytes`, `at most ${SPEC_LIMITS.variableBytes} bytes`);
    }
    bytes += name.length + size;
  }
  if (bytes <= SPEC_LIMITS.environmentBytes) return variables;
  throw invalidArgument(list, `${bytes} bytes in all`, `at most ${SPEC_LIMITS.environmentBytes} bytes`);
}

function checkVariableName(field: string, name: string, seen: ReadonlySet<string>): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(name)) {
    const finding = `found ${JSON.stringify(name.slice(0, 80))}`;
    throw invalidArgument(field, finding, 'letters, digits and underscores, no digit first, 1 to 256 characters');
  }
  if (seen.has(name)) throw invalidArgument(field, `${name} is set twice`, 'one value for each name');
}

function parseHealthCheck(raw: RawHealthCheck | undefined): HealthCheck {
  if (!raw) return DEFAULT_HEALTH_CHECK;
  const field = 'spec.health_check';
  const defaults = DEFAULT_HEALTH_CHECK;
  return {
    probe: parseProbe(raw.probe),
    intervalMs: wholeNumber(`${field}.interval`, raw.intervalMs ?? defaults.intervalMs, [100, 300_000], ' ms'),
    timeoutMs: wholeNumber(`${field}.timeout`, raw.timeoutMs ?? defaults.timeoutMs, [100, 300_000], ' ms'),
    retries: wholeNumber(`${field}.retries`, raw.retries ?? defaults.retries, [1, 100]),
    startPeriodMs: wholeNumber(
      `${field}.start_period`,
      raw.startPeriodMs ?? defaults.startPeriodMs,
      [0, 3_600_000],
      ' ms',
    ),
  };
}

function parseProbe(probe: HealthProbe | undefined): HealthProbe {
  const field = 'spec.health_check';
  if (!probe) throw invalidArgument(field, 'no kind is set', 'one of automatic, http, command and none');
  if (probe.kind === 'command') {
    if (probe.command.length === 0) throw invalidArgument(`${field}.command.command`, 'empty', '1 to 64 arguments');
    return {
      kind: 'command',
      command: parseCommand(`${field}.command.command`, probe.command, SPEC_LIMITS.commandBytes),
    };
  }
  if (probe.kind !== 'http') return probe;
  if (!/^\/[\x21-\x7e]{0,1023}$/.test(probe.path)) {
    const finding = `found ${JSON.stringify(probe.path.slice(0, 80))}`;
    throw invalidArgument(`${field}.http.path`, finding, 'a path that begins with /, ASCII without spaces, 1 to 1024');
  }
  if (probe.expectedStatus !== null) wholeNumber(`${field}.http.expected_status`, probe.expectedStatus, [100, 599]);
  return probe;
}

function parseLimits({
  cpuCores = DEFAULT_LIMITS.cpuCores,
  memoryBytes = DEFAULT_LIMITS.memoryBytes,
}: RawSpec): ResourceLimits {
  if (!(cpuCores >= 0.01 && cpuCores <= 1024)) {
    throw invalidArgument('spec.limits.cpu_cores', `found ${cpuCores}`, '0.01 to 1024 cores');
  }
  wholeNumber('spec.limits.memory_bytes', memoryBytes, [MIN_MEMORY_BYTES, MAX_MEMORY_BYTES], ' bytes');
  return { cpuCores, memoryBytes };
}

function parseCommand(field: string, command: readonly string[], maxBytes: number): readonly string[] {
  if (command.length > 256) throw invalidArgument(field, `${command.length} arguments`, 'at most 256');
  const nul = command.findIndex((argument) => argument.includes('\0'));
  if (nul >= 0) throw invalidArgument(`${field}[${nul}]`, 'holds a NUL character', 'any other character');
  const bytes = command.reduce((sum, argument) => sum + byteLength(argument), 0);
  if (bytes > maxBytes) throw invalidArgument(field, `${bytes} bytes in all`, `at most ${maxBytes} bytes`);
  return command;
}

function wholeNumber(field: string, value: number, [least, most]: readonly [number, number], unit = ''): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw invalidArgument(field, `found ${value}${unit}`, `${least} to ${most}${unit}`);
}

function hasControlCharacter(text: string): boolean {
  return [...text].some((character) => character < ' ' || character === '\x7f');
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
