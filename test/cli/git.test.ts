import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  DeleteGitCredentialRequestSchema,
  GitCredentialKind,
  SetGitCredentialRequestSchema,
} from '../../gen/obiente/cloud/v1/git_pb.ts';
import { startFakePlatform } from './fake-platform.ts';
import { runCommand } from './run-command.ts';

let platform: Awaited<ReturnType<typeof startFakePlatform>>;
let folder: string;

beforeEach(async () => {
  platform = await startFakePlatform();
  folder = await mkdtemp(join(tmpdir(), 'obiente-keys-'));
});
afterEach(async () => {
  await platform.stop();
  await rm(folder, { recursive: true });
});

const obiente = (args: string[], options: Partial<Parameters<typeof runCommand>[1]> = {}) =>
  runCommand(args, { url: platform.url, ...options });

const asked = () => platform.requestsOf('SetGitCredential', SetGitCredentialRequestSchema).map(({ secret }) => secret);

describe('obiente git', () => {
  it('stores a token that comes in by standard input, and never shows it', async () => {
    const added = await obiente(['git', 'add', 'github.com', '--username', 'robot'], { stdin: 'hunter22\n' });
    expect(added).toMatchObject({ exitCode: 0, stdout: '', stderr: 'stored the credential for github.com\n' });
    expect(asked()).toMatchObject([{ case: 'https', value: { username: 'robot', password: 'hunter22' } }]);
    expect(JSON.stringify(added)).not.toContain('hunter22');
  });

  it('prints nothing but the public half of a key, whether it is given or made', async () => {
    const file = join(folder, 'key');
    await writeFile(file, 'a private key\n');
    await writeFile(join(folder, 'hosts'), 'github.com ssh-ed25519 AAAA\n');
    const target = 'github.com/acme/shop';
    const hosts = ['--known-hosts', join(folder, 'hosts')];
    const fromFile = await obiente(['git', 'add', target, '--key', file, ...hosts]);
    const fromInput = await obiente(['git', 'add', target, '--key', '-'], { stdin: 'a private key' });
    const made = await obiente(['git', 'add', target, '--generate-key']);
    for (const { stdout } of [fromFile, fromInput, made]) expect(stdout).toBe('ssh-ed25519 AAAA obiente\n');
    expect(asked()).toMatchObject([
      { case: 'ssh', value: { privateKey: 'a private key\n', knownHosts: 'github.com ssh-ed25519 AAAA\n' } },
      { case: 'ssh', value: { privateKey: 'a private key', knownHosts: '' } },
      { case: 'ssh', value: { privateKey: '', knownHosts: '' } },
    ]);
  });

  it.each([
    ['no way to sign in', []],
    ['two of them', ['--generate-key', '--username', 'robot']],
    ['known hosts for https', ['--username', 'robot', '--known-hosts', 'x']],
    ['a key that is not there', ['--key', '/no/such/file']],
    ['an empty key', ['--key', '/dev/null']],
  ])('refuses %s, before it calls anything', async (_, options) => {
    expect(await obiente(['git', 'add', 'github.com', ...options], { stdin: 'x' })).toMatchObject({ exitCode: 3 });
    expect(platform.calls).toEqual([]);
  });

  it('removes all of a target, or one kind', async () => {
    await obiente(['git', 'rm', 'github.com']);
    await obiente(['git', 'rm', 'github.com', '--ssh']);
    const kinds = platform.requestsOf('DeleteGitCredential', DeleteGitCredentialRequestSchema).map(({ kind }) => kind);
    expect(kinds).toEqual([GitCredentialKind.UNSPECIFIED, GitCredentialKind.SSH]);
  });
});

describe('obiente webhook', () => {
  it('makes one and shows its secret once, then its address only, until it is rotated', async () => {
    await obiente(['deploy', '--image', 'nginx:1', '--name', 'shop']);
    const first = await obiente(['webhook', 'shop']);
    expect(first.stdout).toMatch(/url +http:\/\/\S+\/webhooks\/\S+\n[\s\S]*secret +the-secret\n/);
    const again = await obiente(['webhook', 'shop']);
    expect(again.stdout).not.toContain('secret');
    expect(again.stderr).toContain('--rotate');
    expect((await obiente(['webhook', 'shop', '--rotate', '--json'])).json()).toMatchObject({
      secret: 'another-secret',
    });
    expect((await obiente(['webhook', 'shop', '--remove'])).stdout).toBe('removed the webhook of shop\n');
    expect(await obiente(['webhook', 'shop', '--remove', '--rotate'])).toMatchObject({ exitCode: 3 });
  });
});
