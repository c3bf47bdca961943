import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readComposeFile } from './compose-source.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-compose-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function read(text: string, given: { typed?: Record<string, string>; env?: Record<string, string> } = {}) {
  const file = join(folder, 'compose.yaml');
  await writeFile(file, text);
  const { typed = {}, env = {} } = given;
  return await readComposeFile({ file, variables: new Map(Object.entries(typed)), env });
}

const ONE = (lines: string): string => `services:\n  web:\n    image: ghcr.io/acme/web:\${TAG:-1}\n${lines}`;

describe('a Compose file', () => {
  it('takes values from the command line, then from the environment, then from .env', async () => {
    await writeFile(join(folder, '.env'), 'A=beside\nB=beside\nC=beside\n');
    const lines = '    environment: { A: $A, B: $B, C: $C }';
    const { variables, application } = await read(ONE(lines), { typed: { A: 'typed' }, env: { A: 'own', B: 'own' } });
    expect(variables).toEqual({ A: 'typed', B: 'own', C: 'beside' });
    expect(application.services[0]?.environment.map(({ value }) => value)).toEqual(['typed', 'own', 'beside']);
  });

  it('sends nothing of the environment that it does not speak of', async () => {
    const env = { TAG: '2', TOKEN: 'mine', AWS_SECRET_ACCESS_KEY: 'never', OTHER: 'never', web: 'never' };
    const { variables } = await read(ONE(`    environment: [TOKEN, "OTHER=\${NOT_SET:-OTHER}"]`), { env });
    expect(variables).toEqual({ TAG: '2', TOKEN: 'mine' });
  });

  it('leaves a variable open that nobody has a value for', async () => {
    const { variables, application } = await read(ONE('    environment: [TOKEN]'));
    expect(variables).toEqual({});
    expect(application.services[0]?.environment).toEqual([{ name: 'TOKEN', value: undefined }]);
  });

  it('may name any registry here: the platform says which are allowed', async () => {
    const { application } = await read('services: { web: { image: "10.0.0.1:5000/web:1" } }');
    expect(application.services[0]?.source).toEqual({ kind: 'image', reference: '10.0.0.1:5000/web:1' });
  });

  it.each([
    ['services: { web: { image: "a", privileged: true } }', /services\.web\.privileged/],
    [`services: { web: { image: "\${NEEDED}" } }`, /NEEDED/],
    ['services: { web: { build: ../outside } }', /services\.web\.build/],
  ])('is refused by its place: %s', async (text, message) => {
    await expect(read(text)).rejects.toThrow(message);
  });
});
