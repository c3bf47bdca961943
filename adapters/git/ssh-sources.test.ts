import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { aFetch, GIT_SERVER_NAME, type GitRig, startGitRig } from '../../test/support/git-rig.ts';
import { processesIn, seeProcesses } from '../../test/support/processes.ts';
import { type SshServer, startSshServer } from '../../test/support/ssh-server.ts';
import type { GitCredential } from './credential.ts';
import type { GitSources } from './git-sources.ts';

let rig: GitRig;
let ssh: SshServer;
let sources: GitSources;
let count = 0;

beforeAll(async () => {
  [rig, ssh] = await Promise.all([startGitRig(), startSshServer()]);
  sources = await rig.open({ rules: { allowedHosts: [rig.server.host, `${GIT_SERVER_NAME}:${ssh.port}`] } });
});

afterEach(async () => {
  expect(processesIn(rig.work)).toEqual([]);
  expect(await readdir(rig.work)).toEqual([]);
});

afterAll(async () => {
  await ssh.stop();
  await rig.stop();
});

function aCredential(changes: Partial<Extract<GitCredential, { kind: 'ssh' }>> = {}): GitCredential {
  const knownHosts = { lines: ssh.knownHosts(GIT_SERVER_NAME) };
  return { kind: 'ssh', privateKey: ssh.privateKey, knownHosts, ...changes };
}

/** A repository and its address by SSH; the server's files are this machine's. */
function aRepository() {
  count += 1;
  const repository = rig.repository(`ssh${count}.git`);
  return { ...repository, url: `ssh://${ssh.user}@${GIT_SERVER_NAME}:${ssh.port}${repository.folder}` };
}

async function resolve(url: string, credential: GitCredential, by = sources) {
  return await by.resolveRef({ url, ref: 'main', credential, signal: new AbortController().signal });
}

function fetch(source: { url: string; commit: string }, changes: object = {}) {
  count += 1;
  const into = join(rig.folder, `ssh-target-${count}`);
  const request = { ...aFetch(), credential: aCredential(), ...source, into, ...changes };
  return { into, done: sources.fetchCommit(request) };
}

describe('a source over SSH', () => {
  it('is read by its key, at exactly the commit that was asked for', async () => {
    const repository = aRepository();
    const old = repository.commit({ a: 'old' });
    const current = repository.commit({ a: 'new' }, { parent: old });
    expect(await resolve(repository.url, aCredential())).toEqual({ commit: current });
    const lines: string[] = [];
    const onProgress = (line: string): void => void lines.push(line);
    const { into, done } = fetch({ url: repository.url, commit: old }, { onProgress });
    expect(await done).toEqual({ files: 1, bytes: 3 });
    expect(await readFile(join(into, 'a'), 'utf8')).toBe('old');
    expect(lines).toContainEqual(expect.stringContaining('Receiving objects: 100%'));
    expect(lines.filter((line) => /Warning|node:/.test(line))).toEqual([]);
    const log = await ssh.log();
    expect(log).not.toMatch(/agent|X11|port forward/i);
  });

  it('takes a key with the line ends of Windows', async () => {
    const repository = aRepository();
    const commit = repository.commit({ a: '1' });
    const privateKey = ssh.privateKey.trimEnd().replaceAll('\n', '\r\n');
    expect(await resolve(repository.url, aCredential({ privateKey }))).toEqual({ commit });
  });

  it('reads submodules of its own server with the same key', async () => {
    const leaf = aRepository();
    const leafCommit = leaf.commit({ leaf: 'x' });
    const repository = aRepository();
    const commit = repository.commit({
      '.gitmodules': `[submodule "leaf"]\n path = leaf\n url = ../${leaf.folder.slice(rig.root.length + 1)}\n`,
      leaf: { mode: '160000', content: leafCommit },
    });
    const { into, done } = fetch({ url: repository.url, commit }, { submodules: true });
    await done;
    expect(await readFile(join(into, 'leaf/leaf'), 'utf8')).toBe('x');
  });

  it('is refused without a key, with a key of nobody, and with what is no key', async () => {
    const { url, ...repository } = aRepository();
    repository.commit({ a: '1' });
    await expect(resolve(url, { kind: 'none' })).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
    await expect(resolve(url, aCredential({ privateKey: ssh.strangersKey }))).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
      message: expect.stringContaining('the server refused the credential'),
    });
    const broken = ssh.privateKey.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA');
    await expect(resolve(url, aCredential({ privateKey: broken }))).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
    await expect(resolve(url, aCredential({ privateKey: 'x' }))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('is refused when the repository is not there', async () => {
    const url = `ssh://${ssh.user}@${GIT_SERVER_NAME}:${ssh.port}/does/not/exist.git`;
    await expect(resolve(url, aCredential())).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
      message: expect.stringContaining('there is no such repository'),
    });
  });

  it('is refused when the name leads elsewhere, and can be tried again when nobody listens', async () => {
    const { url, ...repository } = aRepository();
    repository.commit({ a: '1' });
    const elsewhere = await rig.open({ lookup: async () => ['10.0.0.1'] });
    await expect(
      resolve(url.replace(GIT_SERVER_NAME, 'rebind.example.com'), aCredential(), elsewhere),
    ).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
    });
    const nobody = await rig.open({ rules: { allowedHosts: [`${GIT_SERVER_NAME}:1`] } });
    await expect(resolve(url.replace(`:${ssh.port}`, ':1'), aCredential(), nobody)).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
    });
  });
});

describe('the host key of a server', () => {
  it('must be one of those that the credential gives', async () => {
    const { url, ...repository } = aRepository();
    repository.commit({ a: '1' });
    const another = `[${GIT_SERVER_NAME}]:${ssh.port} ${ssh.strangersPublicKey}`;
    const elsewhere = ssh.knownHosts('other.example.test');
    for (const lines of ['', another, elsewhere]) {
      await expect(resolve(url, aCredential({ knownHosts: { lines } }))).rejects.toMatchObject({
        code: 'SOURCE_REFUSED',
        message: expect.stringContaining('another host key'),
      });
    }
  });

  it('is learnt once where the credential gives none, and must stay the same from then on', async () => {
    const { url, ...repository } = aRepository();
    const commit = repository.commit({ a: '1' });
    const learnIn = join(rig.folder, 'a deployment', 'known 100% hosts');
    await mkdir(join(rig.folder, 'a deployment'));
    const credential = aCredential({ knownHosts: { learnIn } });
    expect(await resolve(url, credential)).toEqual({ commit });
    expect((await readFile(learnIn, 'utf8')).trim()).toBe(ssh.knownHosts(GIT_SERVER_NAME).trim());
    expect(await resolve(url, credential)).toEqual({ commit });
    await writeFile(learnIn, `[${GIT_SERVER_NAME}]:${ssh.port} ${ssh.strangersPublicKey}`);
    await expect(resolve(url, credential)).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
  });
});

describe('a fetch over SSH', () => {
  it('has its key in one private file only, shows it to nobody, and ends whole when it is cancelled', async () => {
    const repository = aRepository();
    const commit = repository.commit({ a: { content: randomBytes(100_000) } });
    const hanging = await startSshServer();
    try {
      hanging.freeze();
      const by = await rig.open({ rules: { allowedHosts: [`${GIT_SERVER_NAME}:${hanging.port}`] } });
      const cancel = new AbortController();
      const url = repository.url.replace(`:${ssh.port}`, `:${hanging.port}`);
      const request = { ...aFetch(), url, commit, credential: aCredential(), signal: cancel.signal };
      const fetching = by.fetchCommit({ ...request, into: join(rig.folder, 'hanging') });
      const ended = expect(fetching).rejects.toThrow('changed my mind');
      await eventually(() => {
        expect(processesIn(rig.work).map(({ commandLine }) => commandLine)).toContainEqual(
          expect.stringMatching(/^\S*ssh -F/),
        );
      });
      const secret = ssh.privateKey.split('\n')[2] ?? 'none';
      expect(
        seeProcesses().filter(({ commandLine, environment }) => `${commandLine}${environment}`.includes(secret)),
      ).toEqual([]);
      const holders = execFileSync('grep', ['-rlF', '--', secret, rig.folder], { encoding: 'utf8' }).trim().split('\n');
      expect(holders).toEqual([expect.stringMatching(/\/key$/)]);
      expect(execFileSync('stat', ['-c', '%a', holders[0] ?? ''], { encoding: 'utf8' }).trim()).toBe('600');
      cancel.abort(new Error('changed my mind'));
      await ended;
    } finally {
      await hanging.stop();
    }
  });
});
