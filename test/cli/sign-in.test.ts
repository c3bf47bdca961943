import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Credentials, readCredentials, writeCredentials } from '../../cli/credentials-file.ts';
import { signInByDevice } from '../../cli/device-flow.ts';
import { findSession } from '../../cli/session.ts';
import { storedToken } from '../../cli/tokens.ts';
import { type Answer, type ReceivedForm, startFakeProvider } from './fake-provider.ts';
import { runCommand } from './run-command.ts';

let folder: string;
let file: string;
let cleanUps: (() => Promise<void>)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sign-in-'));
  file = join(folder, '.obiente', 'cli.json');
});

afterEach(async () => {
  for (const cleanUp of cleanUps) await cleanUp();
  cleanUps = [];
  rmSync(folder, { recursive: true, force: true });
});

async function aProvider(answer: (received: ReceivedForm) => Answer | Promise<Answer>) {
  const provider = await startFakeProvider(answer);
  cleanUps.push(() => provider.stop());
  return provider;
}

const DEVICE = {
  device_code: 'secret-device',
  user_code: 'ABCD-EFGH',
  verification_uri: 'https://id.example/device',
  expires_in: 600,
  interval: 5,
};

describe('the device flow', () => {
  async function signIn(answers: Answer[]) {
    const pauses: number[] = [];
    const prompts: string[] = [];
    const provider = await aProvider(({ endpoint }) =>
      endpoint === 'device' ? { status: 200, body: DEVICE } : (answers.shift() ?? { status: 500, body: {} }),
    );
    const tokens = signInByDevice({
      issuer: provider.issuer,
      clientId: 'obiente-cli',
      scope: 'openid offline_access',
      resource: undefined,
      prompt: ({ userCode, url }) => prompts.push(`${userCode} ${url}`),
      pause: async (ms) => {
        pauses.push(ms);
      },
    });
    return { tokens, pauses, prompts, provider };
  }

  it('shows the code, polls at the interval, slows down when told to, and ends with the tokens', async () => {
    const { tokens, pauses, prompts, provider } = await signIn([
      { status: 400, body: { error: 'authorization_pending' } },
      { status: 400, body: { error: 'slow_down' } },
      { status: 400, body: { error: 'authorization_pending' } },
      { status: 200, body: { access_token: 'a', refresh_token: 'r', expires_in: 3600 } },
    ]);
    await expect(tokens).resolves.toMatchObject({ accessToken: 'a', refreshToken: 'r' });
    expect(prompts).toEqual(['ABCD-EFGH https://id.example/device']);
    expect(pauses).toEqual([5000, 5000, 10_000, 10_000]);
    expect(provider.received.at(-1)?.form).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: 'secret-device',
      client_id: 'obiente-cli',
    });
  });

  it.each([
    [{ error: 'access_denied' }, 'the sign-in was refused'],
    [{ error: 'expired_token' }, 'the code has expired'],
    [{ error: 'invalid_client', error_description: 'no such client' }, 'the identity provider refused: no such client'],
  ])('ends on %j', async (body, message) => {
    const { tokens } = await signIn([{ status: 400, body }]);
    await expect(tokens).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message });
  });

  it('ends when the code has run out, however long the provider says "pending"', async () => {
    const pending = Array.from({ length: 200 }, () => ({ status: 400, body: { error: 'authorization_pending' } }));
    const { tokens, pauses } = await signIn(pending);
    await expect(tokens).rejects.toThrow('the code was not confirmed in time');
    expect(pauses).toHaveLength(DEVICE.expires_in / DEVICE.interval);
  });

  it('never sends a code over an unprotected network', async () => {
    const login = { clientId: 'c', scope: 's', resource: undefined, prompt: () => undefined };
    await expect(signInByDevice({ ...login, issuer: 'http://id.example' })).rejects.toThrow('not protected by TLS');
  });
});

describe('stored tokens', () => {
  function credentials(issuer: string, expiresInMs: number): Credentials {
    const expiresAt = new Date(Date.now() + expiresInMs).toISOString();
    return {
      apiUrl: 'http://127.0.0.1:7400',
      issuer,
      clientId: 'c',
      accessToken: 'old',
      refreshToken: 'r0',
      expiresAt,
    };
  }

  /** Refresh tokens are good for one use; a second use is answered like theft. */
  async function aRotatingProvider() {
    let uses = 0;
    return await aProvider(({ form }) => {
      if (form.refresh_token !== `r${uses}`) return { status: 400, body: { error: 'invalid_grant' } };
      uses += 1;
      return { status: 200, body: { access_token: `new${uses}`, refresh_token: `r${uses}`, expires_in: 3600 } };
    });
  }

  it('are used as they are while they live', async () => {
    const provider = await aRotatingProvider();
    await writeCredentials(file, credentials(provider.issuer, 120_000));
    expect(await storedToken(file).accessToken()).toBe('old');
    expect(provider.received).toEqual([]);
  });

  it('are refreshed once by many commands at the same moment, and all get the new one', async () => {
    const provider = await aRotatingProvider();
    await writeCredentials(file, credentials(provider.issuer, 30_000));
    const commands = Array.from({ length: 12 }, () => storedToken(file));
    const tokens = await Promise.all(commands.map((command) => command.accessToken()));
    expect(new Set(tokens)).toEqual(new Set(['new1']));
    expect(provider.received).toHaveLength(1);
    expect(await readCredentials(file)).toMatchObject({ accessToken: 'new1', refreshToken: 'r1' });
    expect(readdirSync(join(folder, '.obiente'))).toEqual(['cli.json']);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('are refreshed when the API refuses one that should live', async () => {
    const provider = await aRotatingProvider();
    await writeCredentials(file, credentials(provider.issuer, 3_600_000));
    const source = storedToken(file);
    expect(await source.renew('old')).toBe(true);
    expect(await source.accessToken()).toBe('new1');
  });

  it('say that the sign-in has expired when the provider refuses the refresh', async () => {
    const provider = await aProvider(() => ({ status: 400, body: { error: 'invalid_grant' } }));
    await writeCredentials(file, credentials(provider.issuer, -1));
    await expect(storedToken(file).accessToken()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: 'the sign-in has expired (invalid_grant)',
    });
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  it('are refreshed behind the lock of a command that was killed', async () => {
    const provider = await aRotatingProvider();
    await writeCredentials(file, credentials(provider.issuer, -1));
    writeFileSync(`${file}.lock`, 'somebody who died', { mode: 0o600 });
    utimesSync(`${file}.lock`, 1, 1);
    expect(await storedToken(file).accessToken()).toBe('new1');
  });
});

describe('which platform is talked to', () => {
  const good: Credentials = { apiUrl: 'http://127.0.0.1:7400', accessToken: 'stored' };

  function around(env: Record<string, string> = {}, cwd = folder) {
    return { env: { HOME: join(folder, 'home'), ...env }, cwd, checkout: join(folder, 'checkout') };
  }

  it('is the one of the nearest cli.json', async () => {
    await writeCredentials(file, good);
    await writeCredentials(join(folder, 'home', '.config', 'obiente', 'cli.json'), { ...good, accessToken: 'user' });
    const deep = join(folder, 'app', 'src');
    mkdirSync(deep, { recursive: true });
    const session = await findSession(around({}, deep));
    expect([session.apiUrl, await session.tokens.accessToken()]).toEqual(['http://127.0.0.1:7400', 'stored']);
  });

  it('is the one of the environment, and a stored token goes to no other', async () => {
    await writeCredentials(file, good);
    const named = await findSession(around({ OBIENTE_API_URL: 'https://api.example', OBIENTE_TOKEN: 't' }));
    expect([named.apiUrl, await named.tokens.accessToken()]).toEqual(['https://api.example', 't']);
    await expect(findSession(around({ OBIENTE_API_URL: 'https://api.example' }))).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
  });

  it('is never read from a file that others may write or read, such as one from a repository', async () => {
    await writeCredentials(file, { ...good, apiUrl: 'https://evil.example' });
    chmodSync(file, 0o644);
    await expect(findSession(around({ OBIENTE_TOKEN: 'secret' }))).rejects.toThrow('can be read by others (mode 644)');
  });

  it('is a hint to sign in when there is none', async () => {
    await expect(findSession(around())).rejects.toMatchObject({ code: 'UNAUTHENTICATED', hint: /obiente login/ });
  });

  it('is not guessed from a file that is broken', async () => {
    await writeCredentials(file, good);
    writeFileSync(file, '{"apiUrl": 5}');
    await expect(findSession(around())).rejects.toThrow('does not hold what obiente wrote there');
    expect(readFileSync(file, 'utf8')).toBe('{"apiUrl": 5}');
  });
});

describe('obiente login and logout', () => {
  const stateDir = (name: string): string => join(folder, name);

  async function obiente(args: string[], name: string) {
    return await runCommand(args, {
      url: '',
      cwd: folder,
      env: { HOME: folder, OBIENTE_STATE_DIR: stateDir(name), OBIENTE_TOKEN: '' },
    });
  }

  it('sign in where the next command looks, and out of there alone', async () => {
    const provider = await aProvider(({ endpoint }) =>
      endpoint === 'device'
        ? { status: 200, body: { ...DEVICE, interval: 0.01 } }
        : { status: 200, body: { access_token: 'fresh', refresh_token: 'r', expires_in: 3600 } },
    );
    const other: Credentials = { apiUrl: 'http://127.0.0.1:1', accessToken: 'other' };
    for (const name of ['mine', 'theirs']) await writeCredentials(join(stateDir(name), 'cli.json'), other);

    const login = await obiente(['login', '--api-url', 'http://127.0.0.1:7400', '--issuer', provider.issuer], 'mine');
    expect(login).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('confirm the code ABCD-EFGH') });
    expect(await readCredentials(join(stateDir('mine'), 'cli.json'))).toMatchObject({
      apiUrl: 'http://127.0.0.1:7400',
      accessToken: 'fresh',
    });

    const logout = await obiente(['logout'], 'mine');
    expect(logout.stdout).toContain(stateDir('mine'));
    expect(await readCredentials(join(stateDir('mine'), 'cli.json'))).not.toHaveProperty('refreshToken');
    expect(await readCredentials(join(stateDir('theirs'), 'cli.json'))).toEqual(other);
  });
});
