import { mkdtempSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../test/support/free-port.ts';
import { RESTART_TIMING, restartDelayMs } from './backoff.ts';
import { ensureKeys } from './keys.ts';
import { assertPortsFree } from './ports.ts';
import { identifyProcess, untilGone } from './process-identity.ts';
import { lockStateDir } from './supervisor-lock.ts';

describe('before the supervisor starts anything', () => {
  let folder: string;
  let server: Server;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'obiente-start-'));
    server = createServer();
  });
  afterEach(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });

  it('names every taken port with its variable and its process', async () => {
    const [taken, free] = [await freePort(), await freePort()];
    await new Promise<void>((resolve) => server.listen(taken, '127.0.0.1', resolve));
    const wanted = [
      { variable: 'API_PORT', host: '127.0.0.1', port: taken },
      { variable: 'HTTP_PORT', host: '127.0.0.1', port: free },
    ];
    await expect(assertPortsFree(wanted)).rejects.toMatchObject({
      code: 'CONFIGURATION',
      message: expect.stringMatching(
        new RegExp(`^cannot start: port ${taken} \\(API_PORT\\) is taken by .+ \\(pid \\d+\\)$`),
      ),
      hint: 'End that process, or set API_PORT to another port.',
    });
    await assertPortsFree(wanted.slice(1));
  });

  it('lets one supervisor at a time run a state folder, and names it', async () => {
    const lock = await lockStateDir(folder);
    await expect(lockStateDir(folder)).rejects.toMatchObject({
      message: `cannot start on ${folder}: it is run by process ${process.pid}`,
    });
    await lock.release();
    await (await lockStateDir(folder)).release();
  });

  it('makes secrets once, different ones, readable by their owner only', () => {
    const files = ensureKeys(folder);
    const read = (): string[] => Object.values(files).map((file) => readFileSync(file, 'utf8'));
    const first = read();
    expect(ensureKeys(folder)).toEqual(files);
    expect(read()).toEqual(first);
    expect(new Set(first).size).toBe(first.length);
    for (const file of Object.values(files)) expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(Buffer.from(readFileSync(files.payload, 'utf8'), 'base64')).toHaveLength(32);
    expect(JSON.parse(readFileSync(files.control, 'utf8'))).toMatchObject({ kty: 'EC', crv: 'P-256' });
  });

  it('tells a process from a later one with its pid', async () => {
    const identity = identifyProcess(process.pid);
    expect(identity).toBe(identifyProcess(process.pid));
    expect(await untilGone(process.pid, `${identity}0`, 0)).toBe(true);
    expect(await untilGone(process.pid, `${identity}`, 0)).toBe(false);
    expect(identifyProcess(2 ** 22 + 1)).toBeUndefined();
  });
});

describe('restartDelayMs', () => {
  it('doubles from 0.2 s up to 10 s', () => {
    const delays = [1, 2, 3, 4, 5, 6, 7, 100].map((failures) => restartDelayMs(failures, RESTART_TIMING));
    expect(delays).toEqual([200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  });
});
