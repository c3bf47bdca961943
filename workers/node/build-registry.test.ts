import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEnvironment } from '../../config/environment.ts';
import { nodeVariables } from '../../config/node.ts';
import { openBuildRegistry } from './build-registry.ts';

const DEPLOYMENT = '0f0e2c5e-3c0f-4d7e-9b6e-3d2c1a4b5c6d';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'obiente-build-registry-'));
});
afterAll(() => rm(dir, { recursive: true }));

function configOf(changes: Readonly<Record<string, string>>) {
  const needed = {
    ...{ OBIENTE_INSTANCE: 'abcd1234', CONTROL_URL: 'http://127.0.0.1:7400', NODE_KEY_DIR: dir },
    ...{ NODE_JOIN_TOKEN_FILE: join(dir, 'join'), PAYLOAD_KEY_FILE: join(dir, 'payload') },
  };
  return readEnvironment(nodeVariables, { ...needed, ...changes });
}

describe('the registry of builds', () => {
  it('is absent unless it is named', async () => {
    expect(await openBuildRegistry(configOf({}))).toBeNull();
  });

  it('has a folder for this installation, and is shown its credential nowhere else', async () => {
    const file = join(dir, 'credential');
    await writeFile(file, 'builder:with:colons\n', { mode: 0o600 });
    const registry = await openBuildRegistry(
      configOf({ BUILD_REGISTRY: 'registry.example.com:5000/builds', BUILD_REGISTRY_CREDENTIAL_FILE: file }),
    );
    expect(registry?.credential).toEqual({ id: 'build-registry', username: 'builder', password: 'with:colons' });
    const repository = registry?.repositoryOf(DEPLOYMENT) ?? '';
    expect(repository).toBe(`registry.example.com:5000/builds/abcd1234/${DEPLOYMENT.replaceAll('-', '')}`);
    expect(registry?.holds(`${repository}@sha256:0`)).toBe(true);
    for (const other of [
      'registry.example.com/builds/abcd1234/x',
      'registry.example.com:5000/builds/abcd12345/x',
      'evil.test/x',
    ]) {
      expect(registry?.holds(other)).toBe(false);
    }
  });

  it.each(['builds', 'Registry.example.com', 'https://registry.example.com', 'registry.example.com/a//b', 'a.b/..'])(
    'is not %s',
    (BUILD_REGISTRY) => {
      expect(() => configOf({ BUILD_REGISTRY })).toThrow(/BUILD_REGISTRY: must be a registry/);
    },
  );

  it.each(['nobody', ':secret', 'user:'])('does not begin with a credential like %s', async (text) => {
    const file = join(dir, 'wrong');
    await writeFile(file, text, { mode: 0o600 });
    const config = configOf({ BUILD_REGISTRY: 'localhost:5000', BUILD_REGISTRY_CREDENTIAL_FILE: file });
    const failure = (await openBuildRegistry(config).catch((error: unknown) => error)) as Error;
    expect(failure).toMatchObject({ code: 'CONFIGURATION' });
    expect(failure.message).not.toContain('secret');
  });
});
