import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { z } from 'zod';
import { readEnvironment } from './environment.ts';

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly restart?: string;
  readonly network_mode?: string;
  readonly ports?: readonly string[];
  readonly logging?: unknown;
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
}

const compose: { services: Record<string, Service>; volumes: Record<string, unknown> } = parse(
  readFileSync(join(import.meta.dirname, '../docker-compose.yml'), 'utf8'),
  { merge: true },
);

/** What a person puts into .env. */
const CHOSEN: Record<string, string> = {
  POSTGRES_PASSWORD: 'a-password',
  METRICS_PASSWORD: 'another-password',
  DOMAIN: 'apps.example.com',
  OIDC_ISSUER: 'https://identity.example.com',
};

/** Fills in `${NAME:-default}` and `${NAME:?message}` as Compose does. */
function interpolate(text: string): string {
  return String(text).replace(/\$\{([A-Z\d_]+)(?::([-?])([^}]*))?\}/g, (_, name: string, mark?: string, rest = '') => {
    const value = CHOSEN[name] ?? (mark === '-' ? rest : undefined);
    if (value === undefined) throw new Error(`${name} has neither a default nor a value in .env`);
    return value;
  });
}

/** Names from before, for which another one is given. */
const REPLACED = ['ZITADEL_URL'];

const ROLES = ['api', 'orchestrator', 'node', 'streamer'];

describe('docker-compose.yml', () => {
  it('runs every role and everything that they need', () => {
    const wanted = [...ROLES, 'postgres', 'timescaledb', 'redis', 'temporal', 'temporal-ui', 'traefik', 'secrets'];
    expect(Object.keys(compose.services).sort()).toEqual(wanted.sort());
    for (const role of ROLES) expect(compose.services[role]?.command).toEqual([role]);
  });

  it.each(ROLES)(
    'gives the role %s an environment that it starts with, and nothing that it does not know',
    async (role) => {
      const exported: Record<string, z.ZodObject> = await import(`./${role}.ts`);
      const schema = exported[`${role}Variables`];
      if (!schema) throw new Error(`config/${role}.ts exports no ${role}Variables`);
      const given = Object.entries(compose.services[role]?.environment ?? {});
      const environment = Object.fromEntries(given.map(([name, value]) => [name, interpolate(value)]));
      expect(() => readEnvironment(schema, environment)).not.toThrow();
      expect(Object.keys(environment).filter((name) => !(name in schema.shape))).toEqual([]);
    },
  );

  it.each(ROLES)('lets a person set whatever the role %s knows', async (role) => {
    const exported: Record<string, z.ZodObject> = await import(`./${role}.ts`);
    const given = compose.services[role]?.environment ?? {};
    const missing = Object.keys(exported[`${role}Variables`]?.shape ?? {}).filter((name) => !(name in given));
    expect(missing.filter((name) => !REPLACED.includes(name))).toEqual([]);
  });

  it('keeps the control plane from nodes: no database, no key but what a node may know', () => {
    for (const role of ['node', 'streamer']) {
      const { environment = {}, volumes = [] } = compose.services[role] ?? {};
      expect(Object.keys(environment)).not.toContain('DATABASE_URL');
      expect(volumes.filter((volume) => volume.startsWith('control-secrets'))).toEqual([]);
    }
  });

  it('runs as root only what must reach the Docker socket', () => {
    const asRoot = Object.entries(compose.services).filter(([, { user }]) => user === 'root');
    expect(asRoot.map(([name]) => name).sort()).toEqual(['node', 'streamer']);
  });

  it('opens databases and Temporal on the loopback address only', () => {
    const ports = Object.values(compose.services).flatMap((service) => service.ports ?? []);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  it('pins every image, limits every log, and declares every volume', () => {
    for (const service of Object.values(compose.services)) {
      expect(interpolate(service.image)).toMatch(/:v?\d+\.\d+[.\w-]*$/);
      expect(service.logging).toMatchObject({ options: { 'max-size': '10m' } });
      const named = (service.volumes ?? [])
        .map((volume) => volume.split(':')[0] ?? '')
        .filter((name) => !name.startsWith('/'));
      expect(named.filter((name) => !(name in compose.volumes))).toEqual([]);
      expect(Object.keys(service.depends_on ?? {}).filter((name) => !(name in compose.services))).toEqual([]);
    }
  });

  it('holds no secret', () => {
    const values = Object.values(compose.services).flatMap(({ environment }) => Object.entries(environment ?? {}));
    const secrets = values.filter(([name]) => /PASSWORD|PWD|SECRET|TOKEN$/.test(name));
    for (const [, value] of secrets) expect(value).toMatch(/^\$\{[A-Z_]+:\?/);
  });
});
