import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

interface Import {
  readonly specifier: string;
}

interface Source {
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
}

const IMPORT = /^(?:import|export)\s+(type\s)?[^'"`;]*?\bfrom\s+['"]([^'"]+)['"]|^import\s+()['"]([^'"]+)['"]/gm;

/** What git tracks or would track; generated code and recorded data are not code of this project. */
const sources: readonly Source[] = execFileSync(
  'git',
  ['ls-files', '-co', '--exclude-standard', '--', '*.ts', '*.js', '*.mjs'],
  {
    cwd: ROOT,
    encoding: 'utf8',
  },
)
  .split('\n')
  .filter((path) => path !== '' && !path.startsWith('gen/'))
  .map(readSource);

const production = sources.filter(({ path }) => !path.includes('.test.') && !path.startsWith('test/'));

function readSource(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const imports = [...text.matchAll(IMPORT)].map((match) => ({
    specifier: match[2] ?? match[4] ?? '',
  }));
  return { path, lines: text.split('\n').length - 1, imports };
}

function folderOf(path: string): string {
  return path.split('/')[0] ?? '';
}

/** The top folder that a relative import leads to; `undefined` for a package. */
function target(source: Source, { specifier }: Import): string | undefined {
  return specifier.startsWith('.') ? folderOf(normalize(join(dirname(source.path), specifier))) : undefined;
}

function violations(of: readonly Source[], isWrong: (source: Source, imported: Import) => boolean): string[] {
  return of.flatMap((source) =>
    source.imports
      .filter((imported) => isWrong(source, imported))
      .map(({ specifier }) => `${source.path} imports ${specifier}`),
  );
}

/** Imports go only down. A folder that is not named here may import what it likes. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  domain: ['domain'],
  contracts: ['contracts', 'domain'],
  workflows: ['workflows', 'contracts', 'domain'],
  activities: ['activities', 'contracts', 'domain'],
  streamer: ['streamer', 'contracts', 'domain', 'gen'],
  adapters: ['adapters', 'activities', 'streamer', 'contracts', 'domain', 'gen'],
  config: ['config', 'domain', 'contracts'],
  api: ['api', 'adapters', 'activities', 'contracts', 'domain', 'gen'],
  cli: ['cli', 'workers', 'adapters', 'domain', 'contracts', 'gen', 'scripts', 'config', 'package.json'],
};

/**
 * A driver package is imported in its folder only, so that replacing it is the work of one folder. A floor of a bench is
 * the bare driver.
 */
const DRIVERS: Record<string, readonly string[]> = {
  dockerode: ['adapters/docker/'],
  pg: ['adapters/postgres/', 'adapters/timescale/', 'bench/floor/'],
  kysely: ['adapters/postgres/', 'adapters/timescale/', 'bench/floor/'],
  jose: ['adapters/tokens/', 'adapters/dev-oidc/'],
  'tar-stream': ['adapters/sources/'],
  'tar-fs': ['cli/'],
  'oidc-provider': ['adapters/dev-oidc/'],
  '@temporalio/client': ['adapters/temporal/', 'bench/floor/'],
  '@temporalio/worker': ['adapters/temporal/', 'bench/floor/'],
  ioredis: ['adapters/redis/'],
  ajv: ['adapters/compose/'],
  nodemailer: ['adapters/mail/'],
  '@aws-sdk/client-s3': ['adapters/object-storage/'],
  '@aws-sdk/lib-storage': ['adapters/object-storage/'],
};

function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
}

/** Ceilings in lines, most specific folder first. Beyond them a file is more than one story. */
const CEILINGS: readonly (readonly [RegExp, number])[] = [
  [/\.test\.(ts|js|mjs)$/, 800],
  [/^test\//, 800],
  [/^workflows\//, 250],
  [/^activities\//, 200],
  [/^domain\//, 300],
  [/^workers\/[^/]+\.ts$/, 150],
  [/./, 250],
];

describe('the architecture', () => {
  it('lets imports go only down', () => {
    const wrong = violations(production, (source, imported) => {
      const allowed = MAY_IMPORT[folderOf(source.path)];
      const to = target(source, imported);
      return allowed !== undefined && to !== undefined && !allowed.includes(to);
    });
    expect(wrong).toEqual([]);
  });

  it('keeps the domain free of packages and of the world', () => {
    const domain = production.filter(({ path }) => path.startsWith('domain/'));
    expect(violations(domain, (_, { specifier }) => !specifier.startsWith('.'))).toEqual([]);
  });

  it('gives workflows nothing but the domain, the contracts and the workflow package', () => {
    const workflows = production.filter(({ path }) => path.startsWith('workflows/'));
    const wrong = violations(
      workflows,
      (_, { specifier }) => !specifier.startsWith('.') && specifier !== '@temporalio/workflow',
    );
    expect(wrong).toEqual([]);
  });

  it('keeps every driver package in its folder', () => {
    const wrong = violations(production, (source, { specifier }) => {
      const folders = DRIVERS[packageOf(specifier)];
      return folders !== undefined && !folders.some((folder) => source.path.startsWith(folder));
    });
    expect(wrong).toEqual([]);
  });

  it('keeps Temporal out of every adapter but its own, and workflow code out of every process but the orchestrator', () => {
    const adapters = production.filter(
      ({ path }) => path.startsWith('adapters/') && !path.startsWith('adapters/temporal/'),
    );
    expect(violations(adapters, (_, { specifier }) => specifier.startsWith('@temporalio/'))).toEqual([]);
    const others = production.filter(({ path }) => !path.startsWith('workflows/'));
    expect(violations(others, (source, imported) => target(source, imported) === 'workflows')).toEqual([]);
  });

  it('keeps files within the ceiling of one story', () => {
    const long = sources.filter(({ path, lines }) => {
      const [, ceiling = Number.POSITIVE_INFINITY] = CEILINGS.find(([pattern]) => pattern.test(path)) ?? [];
      return lines > ceiling;
    });
    expect(long.map(({ path, lines }) => `${path}: ${lines} lines`)).toEqual([]);
  });

  it('names files in kebab-case, after what they hold', () => {
    const vague = /^(index|utils?|helpers?|common|misc|managers?)(\.|$)/;
    const wrong = sources.filter(({ path }) => {
      const name = basename(path);
      return !/^[a-z0-9]+([.-][a-z0-9]+)*\.(ts|js|mjs)$/.test(name) || path.split('/').some((part) => vague.test(part));
    });
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it('never shells out to docker, nor builds a shell command', () => {
    const shell = /shell:\s*true|execSync\(|['"`]docker['"`]\s*,\s*\[/;
    const wrong = production.filter(({ path }) => shell.test(readFileSync(join(ROOT, path), 'utf8')));
    expect(wrong.filter(({ path }) => !path.startsWith('scripts/')).map(({ path }) => path)).toEqual([]);
  });

  it('can fail: a made-up violation is found', () => {
    const made = { path: 'domain/made-up.ts', lines: 1, imports: [{ specifier: 'pg' }] };
    expect(violations([made], (_, { specifier }) => !specifier.startsWith('.'))).toEqual([
      'domain/made-up.ts imports pg',
    ]);
  });
});
