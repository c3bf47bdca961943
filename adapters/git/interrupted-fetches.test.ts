import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { aFetch, type GitRig, startGitRig } from '../../test/support/git-rig.ts';
import { processesIn, seeProcesses } from '../../test/support/processes.ts';

const CREDENTIAL = { kind: 'https', username: 'deployer', password: 'canary-5d1f0c' } as const;
const CANARIES = ['canary-5d1f0c', Buffer.from('deployer:canary-5d1f0c').toString('base64')];

let rig: GitRig;

beforeAll(async () => {
  rig = await startGitRig();
});

afterEach(async () => {
  rig.server.behaviour = {};
  expect(processesIn(rig.work)).toEqual([]);
  expect(await readdir(rig.work)).toEqual([]);
});

afterAll(() => rig.stop());

/** Lets the server say nothing more from the first request of this method on, and tells when that has come. */
function hangAt(method: 'GET' | 'POST'): Promise<void> {
  return new Promise((resolve) => {
    rig.server.behaviour = {
      intercept: (request) => {
        if (request.method !== method) return false;
        resolve();
        return true;
      },
    };
  });
}

function aCommit(name: string) {
  const commit = rig.repository(name).commit({ a: { content: randomBytes(100_000) } });
  return { url: rig.server.url(name), commit };
}

describe('a fetch that is cancelled', () => {
  it.each(['GET', 'POST'] as const)('while the server says nothing to a %s ends every process', async (method) => {
    const source = aCommit(`cancel-${method}.git`);
    const cancel = new AbortController();
    const hung = hangAt(method);
    const before = await rig.leftovers();
    const fetch = rig.fetch({ ...source, signal: cancel.signal });
    const ended = expect(fetch).rejects.toThrow('changed my mind');
    await hung;
    expect(processesIn(rig.work).length).toBeGreaterThan(0);
    cancel.abort(new Error('changed my mind'));
    await ended;
    expect(processesIn(rig.work)).toEqual([]);
    expect(await rig.leftovers()).toEqual(before);
  });

  it('before it begins, or while a name is looked up, starts nothing', async () => {
    const source = aCommit('early.git');
    const request = { ...aFetch(), ...source, into: join(rig.folder, 'early') };
    const refused = rig.sources.fetchCommit({ ...request, signal: AbortSignal.abort(new Error('no')) });
    await expect(refused).rejects.toThrow('no');
    const cancel = new AbortController();
    const sources = await rig.open({
      lookup: () => {
        cancel.abort(new Error('not now'));
        return new Promise(() => {});
      },
    });
    await expect(sources.fetchCommit({ ...request, signal: cancel.signal })).rejects.toThrow('not now');
  });

  it('while it writes files leaves none of them', async () => {
    const files = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`d${i % 50}/f${i}`, 'x']));
    const commit = rig.repository('writing.git').commit(files);
    const cancel = new AbortController();
    const into = join(rig.folder, 'writing');
    const fetch = rig.fetch({ url: rig.server.url('writing.git'), commit, signal: cancel.signal, into });
    const ended = expect(fetch).rejects.toThrow('enough');
    await eventually(async () => expect(await readdir(into)).not.toEqual([]), { everyMs: 1 });
    cancel.abort(new Error('enough'));
    await ended;
    expect(await readdir(rig.folder)).not.toContain('writing');
  });
});

describe('a server that hangs', () => {
  it('is given up when it does not list its refs', async () => {
    const { url } = aCommit('hang.git');
    const sources = await rig.open({ resolveTimeoutMs: 500 });
    void hangAt('GET');
    const request = { url, ref: 'main', credential: { kind: 'none' }, signal: new AbortController().signal } as const;
    await expect(sources.resolveRef(request)).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      message: expect.stringContaining('it took longer than 0.5 s'),
    });
  });

  it('is given up when it sends nothing of a commit', async () => {
    const source = aCommit('silent.git');
    const sources = await rig.open({ silenceMs: 500 });
    void hangAt('POST');
    const request = { ...aFetch(), ...source, into: join(rig.folder, 'silent') };
    await expect(sources.fetchCommit(request)).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      message: expect.stringContaining('sent nothing for 0.5 s'),
    });
  });

  it('is given up when all of it takes too long', async () => {
    const source = aCommit('slow.git');
    void hangAt('POST');
    const limits = { ...aFetch().limits, timeoutMs: 500 };
    await expect(rig.fetch({ ...source, limits })).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      message: expect.stringContaining('it took longer than 0.5 s'),
    });
  });
});

describe('a password', () => {
  it('is on no command line and in no file while git runs, and in no line and no error', async () => {
    const source = aCommit('canary.git');
    const cancel = new AbortController();
    const hung = hangAt('POST');
    const said: string[] = [];
    const onProgress = (line: string): void => void said.push(line);
    const fetch = rig.fetch({ ...source, credential: CREDENTIAL, signal: cancel.signal, onProgress });
    const ended = fetch.catch((error: unknown) => error);
    await hung;
    const running = seeProcesses();
    expect(running.filter(({ commandLine }) => commandLine.includes(source.commit))).not.toEqual([]);
    for (const canary of CANARIES) {
      expect(running.filter(({ commandLine }) => commandLine.includes(canary))).toEqual([]);
      const files = grep(canary, rig.folder);
      expect(files).toBe('');
    }
    cancel.abort(new Error('seen'));
    expect(`${await ended}`).toBe('Error: seen');

    rig.server.behaviour = {
      intercept: (request, response) => {
        const echo = Buffer.from(String(request.headers.authorization).slice(6), 'base64').toString();
        response
          .writeHead(403, { 'content-type': 'text/plain' })
          .end(`no entry for ${echo} ${request.headers.authorization}`);
        return true;
      },
    };
    const refusal = (await rig
      .fetch({ ...source, credential: CREDENTIAL, onProgress })
      .catch((error: unknown) => error)) as Error;
    expect(refusal).toMatchObject({ code: 'SOURCE_REFUSED' });
    const told = JSON.stringify([said, refusal.message, refusal.stack, String(refusal.cause)]);
    expect(said).toContainEqual(expect.stringContaining('no entry for deployer:***'));
    for (const canary of CANARIES) expect(told).not.toContain(canary);
  });
});

describe('what a killed process has left', () => {
  it('is removed at the next start, but nothing that may be in use', async () => {
    const [old, fresh] = [join(rig.work, 'git-old'), join(rig.work, 'git-new')];
    await Promise.all([mkdir(join(old, 'objects.git'), { recursive: true }), mkdir(fresh, { recursive: true })]);
    const twoDaysAgo = new Date(Date.now() - 48 * 3_600_000);
    await utimes(old, twoDaysAgo, twoDaysAgo);
    await rig.open();
    expect(await readdir(rig.work)).toEqual(['git-new']);
    const now = new Date(Date.now() - 48 * 3_600_000);
    await utimes(fresh, now, now);
    await rig.open();
  });
});

describe('a machine without a usable git', () => {
  it('says so at the start', async () => {
    await expect(rig.open({ searchPath: rig.folder })).rejects.toMatchObject({ code: 'CONFIGURATION' });
  });
});

/** Names of files that hold a text; grep ends with 1 when there are none. */
function grep(text: string, folder: string): string {
  try {
    return execFileSync('grep', ['-rlaF', '--', text, folder], { encoding: 'utf8' });
  } catch (error) {
    if ((error as { status?: number }).status === 1) return '';
    throw error;
  }
}
