import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSecret } from '../../cli/read-secret.ts';
import { SetRegistryCredentialRequestSchema } from '../../gen/obiente/cloud/v1/registries_pb.ts';
import { startFakePlatform } from './fake-platform.ts';
import { runCommand } from './run-command.ts';

let platform: Awaited<ReturnType<typeof startFakePlatform>>;

beforeEach(async () => {
  platform = await startFakePlatform();
});
afterEach(() => platform.stop());

const obiente = (args: string[], options: Partial<Parameters<typeof runCommand>[1]> = {}) =>
  runCommand(args, { url: platform.url, ...options });

const add = (stdin: string, ...more: string[]) =>
  obiente(['registries', 'add', 'ghcr.io', '--username', 'robot', ...more], { stdin });

describe('obiente registries', () => {
  it('stores a credential whose password comes in by standard input, and never shows it', async () => {
    const added = await add('hunter22 with blanks \n');
    expect(added).toMatchObject({ exitCode: 0, stdout: 'stored the credential of robot for ghcr.io\n', stderr: '' });
    const [request] = platform.requestsOf('SetRegistryCredential', SetRegistryCredentialRequestSchema);
    expect(request).toMatchObject({ host: 'ghcr.io', username: 'robot', password: 'hunter22 with blanks ' });
    const asJson = await add('hunter22', '--json');
    expect(asJson.json()).toMatchObject({ host: 'ghcr.io', username: 'robot', fingerprint: '0123456789ab' });
    expect(JSON.stringify([added, asJson])).not.toContain('hunter22');
  });

  it('lists and removes them', async () => {
    expect((await obiente(['registries'])).stdout).toBe('no credentials yet\n');
    await add('hunter22');
    expect((await obiente(['registries', 'ls'])).stdout).toMatch(/^HOST .*\nghcr\.io +robot +0123456789ab/);
    expect((await obiente(['registries', 'rm', 'ghcr.io'])).stdout).toBe('deleted the credential for ghcr.io\n');
    expect((await obiente(['registries', 'rm', 'ghcr.io'])).exitCode).toBe(4);
  });

  it.each([
    ['without a password', '', 3, 'password: nothing was given'],
    ['with one that is too long', 'x'.repeat(16 * 1024 + 1), 3, 'password: is longer than 16 KiB'],
  ])('refuses to add one %s, before it calls anything', async (_, stdin, exitCode, words) => {
    const refused = await add(stdin);
    expect(refused.exitCode).toBe(exitCode);
    expect(refused.stderr).toContain(words);
    expect(platform.calls).toEqual([]);
  });

  it('takes no password as an argument', async () => {
    const refused = await add('', '--password', 'hunter22');
    expect(refused.exitCode).toBe(2);
    expect(platform.calls).toEqual([]);
  });
});

describe('a prompt for a secret', () => {
  /** A terminal as a program sees it: what is typed comes in, echo is the program's business. */
  function aTerminal() {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    let shown = '';
    const write = (text: string) => {
      shown += text;
    };
    const interrupt = new AbortController();
    const context = { ...{ env: {}, cwd: '/', checkout: '/' }, stdin, stdout: { write }, stderr: { write } };
    const reading = readSecret({ ...context, signal: interrupt.signal }, 'password of robot');
    reading.catch(() => undefined);
    return { stdin, interrupt, reading, shown: () => shown };
  }

  it('says what it wants and shows nothing of what is typed', async () => {
    const terminal = aTerminal();
    terminal.stdin.write('huntre\x7f\x7f');
    terminal.stdin.write('er22\r');
    expect(await terminal.reading).toBe('hunter22');
    expect(terminal.shown()).toBe('password of robot: \n');
  });

  it('ends with Ctrl-C, in raw mode and as a signal', async () => {
    const raw = aTerminal();
    raw.stdin.write('hunt\x03');
    await expect(raw.reading).rejects.toMatchObject({ name: 'AbortError' });
    const signalled = aTerminal();
    signalled.interrupt.abort();
    await expect(signalled.reading).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('refuses an empty answer, and the end of input', async () => {
    const empty = aTerminal();
    empty.stdin.write('\r');
    await expect(empty.reading).rejects.toThrow('nothing was given');
    const ended = aTerminal();
    ended.stdin.end();
    await expect(ended.reading).rejects.toThrow('nothing was given');
  });
});
