import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { DomainError } from '../domain/errors.ts';
import { LOST_VOLUMES } from '../domain/placement/policy.ts';
import { STRATEGY_NAMES } from '../domain/placement/strategies.ts';
import { BUILD_KINDS } from '../domain/source-detection.ts';
import { parseDuration, parseMemory } from './quantities.ts';

/** The file beside a Dockerfile that says how its application runs. */
export const APP_FILE = 'obiente.yaml';

/** A settings file is small; anything larger is not one. */
const MAX_BYTES = 256 * 1024;

const duration = z.string().transform((text, context) => translate(context, () => parseDuration('value', text)));
const size = z
  .union([z.string(), z.number()])
  .transform((value, context) => translate(context, () => parseMemory('value', String(value))));

const timing = {
  interval: duration.optional(),
  timeout: duration.optional(),
  retries: z.int().min(1).max(100).optional(),
  startPeriod: duration.optional(),
};

const health = z.union([
  z.enum(['automatic', 'none']),
  z.strictObject({ path: z.string().startsWith('/'), status: z.int().min(100).max(599).optional(), ...timing }),
  z.strictObject({ command: z.array(z.string()).min(1).max(64), ...timing }),
  z.strictObject({ automatic: z.literal(true), ...timing }),
]);

const gate = z.union([
  z.strictObject({ weight: z.int().min(1).max(99), approval: z.literal(true) }),
  z.strictObject({ weight: z.int().min(1).max(99), wait: duration }),
  z.strictObject({
    weight: z.int().min(1).max(99),
    watch: duration,
    maxErrors: z.int().min(0).max(100),
    minRequests: z.int().min(1).max(1_000_000).optional(),
  }),
]);

const rollout = z.union([
  z.strictObject({
    strategy: z.literal('rolling'),
    maxSurge: z.int().min(0).max(100).optional(),
    maxUnavailable: z.int().min(0).max(100).optional(),
    approval: z.boolean().optional(),
  }),
  z.strictObject({ strategy: z.literal('recreate'), approval: z.boolean().optional() }),
  z.strictObject({ strategy: z.literal('blue-green'), approval: z.boolean().optional(), keepOld: duration.optional() }),
  z.strictObject({ strategy: z.literal('canary'), steps: z.array(gate).min(1).max(20) }),
]);

const placement = z.strictObject({
  strategy: z.enum(STRATEGY_NAMES).optional(),
  spreadBy: z.string().min(1).max(63).optional(),
  constraints: z.array(z.string().min(1).max(512)).max(32).optional(),
  maxPerNode: z.int().min(1).max(10_000).optional(),
  near: z.string().min(1).max(63).optional(),
  lostVolumes: z.enum(LOST_VOLUMES).optional(),
});

const git = z.union([
  z.string().min(1).max(1024),
  z.strictObject({
    url: z.string().min(1).max(1024),
    ref: z.string().max(255).optional(),
    subdirectory: z.string().max(255).optional(),
    submodules: z.boolean().optional(),
  }),
]);

const appSchema = z.strictObject({
  name: z.string().optional(),
  project: z.string().optional(),
  image: z.string().min(1).max(512).optional(),
  pull: z.enum(['always', 'if-not-present', 'auto']).optional(),
  git: git.optional(),
  builder: z.enum(BUILD_KINDS).optional(),
  dockerfile: z.string().min(1).max(255).optional(),
  compose: z.string().min(1).max(255).optional(),
  replicas: z.int().min(0).max(10_000).optional(),
  port: z.int().min(1).max(65_535).optional(),
  cpu: z.number().min(0.01).max(1024).optional(),
  memory: size.optional(),
  restart: z.enum(['always', 'on-failure', 'never']).optional(),
  command: z.array(z.string()).max(256).optional(),
  volumes: z.array(z.string().min(1).max(1024)).max(64).optional(),
  env: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
  health: health.optional(),
  rollout: rollout.optional(),
  placement: placement.optional(),
});

/** What `obiente.yaml` may say. Sizes are bytes, durations milliseconds. */
export type AppFile = z.infer<typeof appSchema>;

/** How health is found out, as the file says it. */
export type AppHealth = z.infer<typeof health>;

/** How a revision replaces another one, as the file says it. Percentages without their sign. */
export type AppRollout = z.infer<typeof rollout>;

/** Where replicas may go, as the file says it. */
export type AppPlacement = z.infer<typeof placement>;

/**
 * Reads the `obiente.yaml` of a folder; an empty one when there is none.
 *
 * @throws INVALID_ARGUMENT with every wrong setting, by its path.
 */
export async function readAppFile(folder: string): Promise<AppFile> {
  let text: string;
  try {
    text = await readFile(join(folder, APP_FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  return parseAppFile(text);
}

/** Parses the text of an `obiente.yaml`. @throws as {@link readAppFile}. */
export function parseAppFile(text: string): AppFile {
  if (Buffer.byteLength(text) > MAX_BYTES) throw wrong([`larger than ${MAX_BYTES / 1024} KiB`]);
  const parsed = appSchema.safeParse(parseYaml(text) ?? {});
  if (parsed.success) return parsed.data;
  throw wrong(parsed.error.issues.flatMap(problems).toSorted());
}

function parseYaml(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 100 });
  } catch (error) {
    if (error instanceof YAMLParseError) throw wrong([error.message.split('\n')[0] ?? 'no YAML']);
    if (error instanceof ReferenceError) throw wrong(['too many aliases']);
    throw error;
  }
}

/** Of a choice, the problems of the alternative that comes closest are those that help. */
function problems(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.join('.');
  if (issue.code !== 'invalid_union') return [`${path === '' ? 'the file' : path}: ${issue.message.toLowerCase()}`];
  const closest = issue.errors
    .filter((found) => !found.some(({ path: at, code }) => at.length === 0 && code !== 'unrecognized_keys'))
    .toSorted((one, other) => one.length - other.length)[0];
  if (closest === undefined) return [`${path}: none of the allowed forms`];
  return closest.flatMap((inner) => problems({ ...inner, path: [...issue.path, ...inner.path] }));
}

function wrong(found: readonly string[]): DomainError {
  return new DomainError('INVALID_ARGUMENT', `${APP_FILE}: ${found.join('; ')}`, {
    field: APP_FILE,
    hint: 'docs/cli.md lists what the file may say.',
  });
}

function translate<T>(context: z.RefinementCtx, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    context.addIssue({ code: 'custom', message: error.message.replace(/^value: /, '') });
    return z.NEVER;
  }
}
