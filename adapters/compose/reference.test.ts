import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ComposeService } from '../../domain/compose/application.ts';
import { createInterpolation, interpolateText } from '../../domain/compose/interpolation.ts';
import type { Place } from '../../domain/compose/place.ts';
import { portsOf } from '../../domain/compose/ports.ts';
import { bytesOf, durationOf } from '../../domain/compose/quantities.ts';
import { wordsOf } from '../../domain/compose/split-words.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS } from '../../domain/spec.ts';
import { parseCompose } from './parse-compose.ts';

/** What Compose's own parser made of the same inputs: `fixtures/reference/record.go` says how it was asked. */
const FIXTURES = join(import.meta.dirname, 'fixtures');
const recorded: Recorded = JSON.parse(read('reference/recorded.json'));
const { variables }: { variables: Record<string, string> } = JSON.parse(read('reference/inputs.json'));

interface Outcome<T> {
  readonly input: string;
  readonly output?: T;
  readonly unset?: readonly string[];
  readonly error?: string;
}

interface RecordedPort {
  readonly target: number;
  readonly protocol: string;
}

interface Recorded {
  readonly templates: readonly Outcome<string>[];
  readonly commands: readonly Outcome<readonly string[]>[];
  readonly durations: readonly Outcome<number>[];
  readonly sizes: readonly Outcome<number>[];
  readonly ports: readonly Outcome<readonly RecordedPort[]>[];
  readonly applications: Readonly<Record<string, Readonly<Record<string, RecordedService>>>>;
}

interface RecordedService {
  readonly image?: string;
  readonly build?: { context: string; dockerfile: string; target?: string; args?: Record<string, string | null> };
  readonly command: readonly string[] | null;
  readonly entrypoint: readonly string[] | null;
  readonly environment?: Record<string, string | null>;
  readonly ports?: readonly RecordedPort[];
  readonly expose?: readonly string[];
  readonly volumes?: readonly { type: string; source?: string; target: string; read_only?: boolean }[];
  readonly tmpfs?: readonly string[];
  readonly depends_on?: Record<string, { condition: string }>;
  readonly cpus?: number;
  readonly mem_limit?: string;
  readonly deploy?: { replicas?: number; resources?: { limits?: { cpus?: number; memory?: string } } };
  readonly healthcheck?: Record<string, unknown> & { test?: readonly string[]; disable?: boolean };
  readonly stop_grace_period?: string;
  readonly user?: string;
  readonly working_dir?: string;
  readonly read_only?: boolean;
  readonly init?: boolean;
}

function read(path: string): string {
  return readFileSync(join(FIXTURES, path), 'utf8');
}

function aPlace(value: unknown): Place {
  return { path: 'x', written: value, value };
}

const silent = { variables: {}, registries: { allowedRegistries: [] }, warn: () => {}, problem: () => {} };

describe('beside Compose', () => {
  it.each(recorded.templates)('variables are put into $input', ({ input, output, unset = [], error }) => {
    const interpolation = createInterpolation(variables);
    const interpolate = () => interpolateText('x', input, interpolation);
    if (error?.startsWith('Invalid template')) {
      expect(interpolate).toThrow('which is no variable');
      return;
    }
    const value = interpolate();
    const missing = interpolation.missing.map(({ name }) => name);
    if (error !== undefined) expect(error).toContain(`variable ${missing[0] ?? 'that is empty'} is missing a value`);
    else expect(value).toBe(output);
    // Compose asks for the variable of a default too; what counts is that nothing is missed that it had to leave empty.
    expect(unset).toEqual(expect.arrayContaining(missing.filter((name) => variables[name] === undefined)));
  });

  it.each(recorded.commands)('a command is taken apart: $input', ({ input, output, error }) => {
    const split = () => wordsOf(aPlace(input), silent);
    if (error !== undefined) expect(split).toThrow('without its end');
    else if (/[;|>]/.test(input)) expect(split().slice(0, output?.length)).toEqual(output);
    else expect(split()).toEqual(output);
  });

  it.each(recorded.durations)('a duration is read: $input', ({ input, output }) => {
    expect(durationOf(aPlace(input), [0, 1e12])).toBe(Math.round((output ?? Number.NaN) / 1e6));
  });

  it.each(recorded.sizes)('a size is read: $input', ({ input, output }) => {
    expect(bytesOf(aPlace(input), 0)).toBe(output);
  });

  it.each(recorded.ports)('a port is read: $input', ({ input, output, error }) => {
    const ports = () => portsOf(aPlace([input]), undefined, silent);
    const isForeign = input === '0' || input === '127.0.0.1::80' || output?.some(({ protocol }) => protocol !== 'tcp');
    if (error !== undefined || (isForeign && input !== '127.0.0.1::80')) {
      expect(ports).toThrow(/allowed is/);
      return;
    }
    const found = ports();
    expect([...found.ports, ...found.expose]).toEqual([...new Set(output?.map(({ target }) => target))]);
  });

  it.each(Object.entries(recorded.applications))('a whole file means the same: %s', (name, services) => {
    const given: Record<string, string> = JSON.parse(read('variables.json'));
    const application = parseCompose(read(`supported/${name}.yaml`), { variables: given });
    const ours = application.services.map((service) => [service.name, comparable(service)]);
    const theirs = Object.entries(services).map(([service, found]) => [service, fromRecorded(found)]);
    expect(Object.fromEntries(ours)).toEqual(Object.fromEntries(theirs));
  });
});

/** What both say of a service, in one form. */
function comparable(service: ComposeService): Record<string, unknown> {
  const { source, healthCheck } = service;
  const isGiven = ({ value }: { value: string | undefined }) => value !== undefined;
  const open = ({ name, value }: { name: string; value: string | undefined }) => [name, value ?? null];
  return {
    source: source.kind === 'image' ? source.reference.replace(/:latest$/, '') : { ...source, args: undefined },
    args: source.kind === 'build' ? Object.fromEntries(source.args.filter(isGiven).map(open)) : {},
    command: service.command,
    entrypoint: service.entrypoint,
    environment: Object.fromEntries(service.environment.map(open)),
    ports: [...service.ports, ...service.expose].toSorted((one, other) => one - other),
    mounts: service.volumes.map((mount) => (mount.kind === 'volume' ? mount : { kind: 'tmpfs', path: mount.path })),
    dependsOn: Object.fromEntries(service.dependsOn.map((one) => [one.service, `service_${one.condition}`])),
    limits: service.limits,
    replicas: service.replicas,
    probe: healthCheck.probe,
    times: [healthCheck.intervalMs, healthCheck.timeoutMs, healthCheck.startPeriodMs, healthCheck.retries],
    stop: service.stopGracePeriodMs,
    user: service.user,
    workingDir: service.workingDir,
    flags: [service.readOnly, service.init],
  };
}

function fromRecorded(found: RecordedService): Record<string, unknown> {
  const { build, healthcheck: health, deploy } = found;
  const limits = deploy?.resources?.limits;
  const numbers = [...(found.ports ?? []).map(({ target }) => target), ...(found.expose ?? []).map(Number)];
  const defaults = health ? [30_000, 30_000, 40_000, 3] : [30_000, 10_000, 40_000, 3];
  const keys = ['interval', 'timeout', 'start_period'] as const;
  const times = keys.map((key, index) => (health?.[key] === undefined ? defaults[index] : ms(health[key] as string)));
  return {
    source: build ? fromBuild(build) : found.image,
    args: build?.args ?? {},
    command: found.command ?? [],
    entrypoint: found.entrypoint,
    environment: found.environment ?? {},
    ports: [...new Set(numbers)].toSorted((one, other) => one - other),
    mounts: [
      ...(found.volumes ?? []).map(({ type, source, target, read_only: readOnly = false }) =>
        type === 'volume' ? { kind: type, volume: source, path: target, readOnly } : { kind: type, path: target },
      ),
      ...(found.tmpfs ?? []).map((text) => ({ kind: 'tmpfs', path: text.split(':')[0] })),
    ],
    dependsOn: Object.fromEntries(Object.entries(found.depends_on ?? {}).map(([name, one]) => [name, one.condition])),
    limits: {
      cpuCores: found.cpus ?? limits?.cpus ?? DEFAULT_LIMITS.cpuCores,
      memoryBytes: Number(found.mem_limit ?? limits?.memory ?? DEFAULT_LIMITS.memoryBytes),
    },
    replicas: deploy?.replicas ?? 1,
    probe: probeOf(health),
    times: [...times, health?.retries ?? 3],
    stop: found.stop_grace_period === undefined ? null : ms(found.stop_grace_period),
    user: found.user ?? null,
    workingDir: found.working_dir?.replace(/\/$/, '') ?? null,
    flags: [found.read_only ?? false, found.init ?? false],
  };
}

function fromBuild({ context, dockerfile, target = undefined }: NonNullable<RecordedService['build']>) {
  const inner = context.replace(/^\/app\/?/, '');
  return { kind: 'build', context: inner, dockerfile: dockerfile.replace(/^\.\//, ''), target: target ?? null };
}

function probeOf(health: RecordedService['healthcheck']) {
  if (health?.disable) return { kind: 'none' };
  const [first, ...words] = health?.test ?? [];
  if (first === undefined) return DEFAULT_HEALTH_CHECK.probe;
  return { kind: 'command', command: first === 'CMD' ? words : ['/bin/sh', '-c', ...words] };
}

/** A duration as Go prints it. */
function ms(text: string): number {
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  return [...text.matchAll(/([\d.]+)(h|ms|m|s)/g)].reduce(
    (sum, [, n, unit]) => sum + Number(n) * (units[unit ?? ''] ?? 0),
    0,
  );
}
