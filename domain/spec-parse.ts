import { invalidArgument } from './errors.ts';
import { parseImageReference, type RegistryRules } from './image-reference.ts';
import {
  DEFAULT_HEALTH_CHECK,
  DEFAULT_LIMITS,
  type HealthCheck,
  type HealthProbe,
  MIN_MEMORY_BYTES,
  type ResourceLimits,
  type RestartPolicy,
  type Source,
  SPEC_LIMITS,
  type SpecInput,
  type VariableInput,
} from './spec.ts';

/** A spec as it came in, whatever the transport: nothing of it is trusted, and what is `undefined` gets a default. */
export interface RawSpec {
  readonly source: Source | undefined;
  readonly replicas: number | undefined;
  readonly port: number | undefined;
  readonly environment: readonly VariableInput[];
  readonly healthCheck: RawHealthCheck | undefined;
  readonly cpuCores: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly restartPolicy: RestartPolicy | undefined;
  readonly command: readonly string[];
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

/**
 * Makes a complete, valid spec out of one that came in: the only door.
 *
 * It repeats what the contract says field by field, because callers of this function need not come through it, and adds
 * what the contract cannot say: sums, duplicates, fields that need each other.
 *
 * @throws INVALID_ARGUMENT naming the field, what was found and what is allowed. Values of variables never appear.
 */
export function parseSpec(raw: RawSpec, rules: RegistryRules): SpecInput {
  const port = raw.port === undefined ? null : wholeNumber('spec.port', raw.port, [1, 65_535]);
  return {
    source: parseSource(raw.source, rules),
    replicas: wholeNumber('spec.replicas', raw.replicas ?? 1, [0, SPEC_LIMITS.replicas]),
    port,
    environment: parseEnvironment(raw.environment),
    healthCheck: parseHealthCheck(raw.healthCheck, port),
    limits: parseLimits(raw),
    restartPolicy: raw.restartPolicy ?? 'always',
    command: parseCommand('spec.command', raw.command, SPEC_LIMITS.commandBytes),
  };
}

function parseSource(source: Source | undefined, rules: RegistryRules): Source {
  if (!source) throw invalidArgument('spec.source', 'nothing is set', 'one of image and dockerfile');
  if (source.kind === 'image') {
    return { ...source, reference: parseImageReference('spec.image.reference', source.reference, rules) };
  }
  if (!/^[0-9a-f]{64}$/.test(source.contextSha256)) {
    throw invalidArgument('spec.dockerfile.context_sha256', 'not a digest', '64 lower-case hex digits');
  }
  return { ...source, dockerfilePath: parseDockerfilePath(source.dockerfilePath || 'Dockerfile') };
}

function parseDockerfilePath(path: string): string {
  const parts = path.split('/');
  const isInside = path.length <= 255 && parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (isInside && !hasControlCharacter(path)) return path;
  throw invalidArgument(
    'spec.dockerfile.dockerfile_path',
    `found ${JSON.stringify(path.slice(0, 80))}`,
    'a relative path inside the context, without . and ..',
  );
}

function parseEnvironment(variables: readonly VariableInput[]): readonly VariableInput[] {
  if (variables.length > SPEC_LIMITS.variables) {
    throw invalidArgument('spec.environment', `${variables.length} variables`, `at most ${SPEC_LIMITS.variables}`);
  }
  const seen = new Set<string>();
  let bytes = 0;
  for (const [index, { name, value }] of variables.entries()) {
    const field = `spec.environment[${index}]`;
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
  throw invalidArgument('spec.environment', `${bytes} bytes in all`, `at most ${SPEC_LIMITS.environmentBytes} bytes`);
}

function checkVariableName(field: string, name: string, seen: ReadonlySet<string>): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(name)) {
    const finding = `found ${JSON.stringify(name.slice(0, 80))}`;
    throw invalidArgument(field, finding, 'letters, digits and underscores, no digit first, 1 to 256 characters');
  }
  if (seen.has(name)) throw invalidArgument(field, `${name} is set twice`, 'one value for each name');
}

function parseHealthCheck(raw: RawHealthCheck | undefined, port: number | null): HealthCheck {
  if (!raw) return DEFAULT_HEALTH_CHECK;
  const field = 'spec.health_check';
  const defaults = DEFAULT_HEALTH_CHECK;
  return {
    probe: parseProbe(raw.probe, port),
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

function parseProbe(probe: HealthProbe | undefined, port: number | null): HealthProbe {
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
  if (port === null)
    throw invalidArgument(`${field}.http`, 'the spec has no port', 'an HTTP check of a spec with a port');
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
