import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyId, readKeyring } from '../../adapters/sealing/keyring.ts';
import {
  RenewDataKeyRequestSchema,
  RotateMasterKeyRequestSchema,
  RotationState,
} from '../../gen/obiente/cloud/v1/keys_pb.ts';
import { ORGANIZATION_ID, startFakePlatform } from './fake-platform.ts';
import { runCommand } from './run-command.ts';

let platform: Awaited<ReturnType<typeof startFakePlatform>>;

beforeEach(async () => {
  platform = await startFakePlatform();
});
afterEach(() => platform.stop());

const obiente = (...args: string[]) => runCommand(args, { url: platform.url });

const FAILURE = {
  state: RotationState.FAILED,
  errorCode: 'CONFIGURATION',
  errorMessage: '3 by deadbeef, which is not there',
  errorHint: 'Put it back.',
};

describe('obiente keys', () => {
  it('shows which master key wraps what, what can go, what is missing, and the newest rotation', async () => {
    platform.behaviour.keys = {
      masterKeys: [
        { id: 'a1b2c3d4', dataKeys: 12n, present: true, known: true },
        { id: 'deadbeef', dataKeys: 0n, known: true },
        { id: 'cafe0000', dataKeys: 3n, known: false },
        { id: '01d00000', dataKeys: 4n, known: true },
      ],
      payloadKeyIds: ['f00dfeed', '0ddba115'],
      rotation: { id: ORGANIZATION_ID, masterKeyId: 'a1b2c3d4', rewrapped: 12n, ...FAILURE },
    };
    const shown = await obiente('keys');
    expect(shown.stdout.split('\n')).toEqual([
      expect.stringMatching(/^MASTER KEY +DATA KEYS +HERE$/),
      expect.stringMatching(/^a1b2c3d4 +12 +wraps and unwraps$/),
      expect.stringMatching(/^deadbeef +0 +unwraps; nothing needs it$/),
      expect.stringMatching(/^cafe0000 +3 +missing$/),
      expect.stringMatching(/^01d00000 +4 +unwraps$/),
      'payload keys: f00dfeed (writes), 0ddba115',
      'rotation to a1b2c3d4 failed, 12 data keys wrapped: 3 by deadbeef, which is not there',
      '',
    ]);
    const json = (await obiente('keys', 'status', '--json')).json();
    expect(json).toMatchObject({ masterKeys: [{ id: 'a1b2c3d4', dataKeys: '12' }, {}, {}, {}] });
  });

  it('rotates, follows the rotation through a restart of the API, and ends with its outcome', async () => {
    let cuts = 2;
    platform.behaviour.rotation = [
      { state: RotationState.RUNNING, rewrapped: 1n },
      { state: RotationState.SUCCEEDED, rewrapped: 2n },
    ];
    platform.behaviour.beforeMessage = (message) => {
      if (message === 2 && cuts-- > 0) platform.cutConnections();
    };
    const rotated = await obiente('keys', 'rotate', '--idempotency-key', 'the-same-key');
    expect(rotated.exitCode).toBe(0);
    expect(rotated.stdout).toMatch(/^rotation to a1b2c3d4 succeeded .*ago, 2 data keys wrapped\n$/);
    const [request] = platform.requestsOf('RotateMasterKey', RotateMasterKeyRequestSchema);
    expect(request?.idempotencyKey).toBe('the-same-key');
    expect(platform.callsOf('WatchRotation').length).toBeGreaterThan(1);
  });

  it('ends with 1 and the reason when a rotation fails', async () => {
    platform.behaviour.rotation = [{ state: RotationState.RUNNING }, FAILURE];
    const rotated = await obiente('keys', 'rotate', '--json');
    expect(rotated.exitCode).toBe(1);
    const { errorCode: code, errorMessage: message, errorHint: hint } = FAILURE;
    expect(rotated.json()).toEqual({ error: { code, message, hint } });
  });

  it('renews the data key of an organization, by name or by the id of any', async () => {
    const other = '99999999-9999-4999-8999-999999999999';
    expect((await obiente('keys', 'renew', 'personal')).stdout).toContain('version 2 of its data key');
    expect((await obiente('keys', 'renew', other)).exitCode).toBe(0);
    expect((await obiente('keys', 'renew', 'strange')).exitCode).toBe(4);
    const requests = platform.requestsOf('RenewDataKey', RenewDataKeyRequestSchema);
    expect(requests.map(({ organizationId }) => organizationId)).toEqual([ORGANIZATION_ID, other]);
  });

  it('says so when the caller is no operator', async () => {
    platform.behaviour.beforeCall = () => {
      throw new ConnectError('this is for operators of the platform', Code.PermissionDenied);
    };
    for (const command of ['status', 'rotate']) expect((await obiente('keys', command)).exitCode).toBe(5);
  });
});

describe('a file of keys', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'obiente-keys-'));
    file = join(folder, 'master.key');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const idsOf = async () => (await readKeyring(file, 'MASTER_KEY_FILE')).ids;

  it('is made, prepared, turned over and cleared by names, and never shows a key', async () => {
    const outputs = [(await obiente('keys', 'show', file)).stdout];
    expect(outputs).toEqual(['no keys\n']);
    outputs.push((await obiente('keys', 'add', file)).stdout);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const [old = ''] = await idsOf();
    outputs.push((await obiente('keys', 'add', file)).stdout);
    const [still, next = ''] = await idsOf();
    expect(still).toBe(old);
    outputs.push((await obiente('keys', 'use', file, next)).stdout);
    expect(await idsOf()).toEqual([next, old]);
    expect(outputs.at(-1)).toBe(`${next}  writes and reads\n${old}  reads\n`);
    outputs.push((await obiente('keys', 'drop', file, old)).stdout);
    expect(await idsOf()).toEqual([next]);
    outputs.push((await obiente('keys', 'add', file, '--first')).stdout);
    const [first, ...others] = await idsOf();
    expect([first === next, others]).toEqual([false, [next]]);
    const keys = (await readFile(file, 'utf8')).trim().split('\n');
    for (const key of keys) expect(outputs.join()).not.toContain(key);
    expect(await readdir(folder)).toEqual(['master.key']);
    expect(platform.calls).toEqual([]);
  });

  it('keeps its mode, and what made it by hand', async () => {
    const key = randomBytes(32);
    await writeFile(file, `\n ${key.toString('base64')}\r\n\n`);
    await chmod(file, 0o640);
    await obiente('keys', 'add', file);
    expect((await idsOf())[0]).toBe(keyId(key));
    expect((await stat(file)).mode & 0o777).toBe(0o640);
  });

  it('is changed by one at a time', async () => {
    await Promise.all([1, 2, 3, 4].map(() => obiente('keys', 'add', file)));
    expect(await idsOf()).toHaveLength(4);
  });

  it('loses neither the key that writes, nor any to a mistake', async () => {
    await obiente('keys', 'add', file);
    const before = await readFile(file, 'utf8');
    const [id = ''] = await idsOf();
    expect((await obiente('keys', 'drop', file, id)).stderr).toContain(`key ${id} is the one that writes`);
    for (const word of ['use', 'drop']) {
      const refused = await obiente('keys', word, file, 'deadbeef');
      expect([refused.exitCode, refused.stderr]).toEqual([4, expect.stringContaining(`it has ${id}`)]);
    }
    expect(await readFile(file, 'utf8')).toBe(before);
    for (let more = 0; more < 7; more += 1) await obiente('keys', 'add', file);
    const full = await obiente('keys', 'add', file);
    expect([full.exitCode, full.stderr]).toEqual([3, expect.stringContaining('allowed are 1 to 8')]);
    expect(await idsOf()).toHaveLength(8);
  });

  it('is refused when others may read it, or when it holds anything else', async () => {
    await writeFile(file, `${randomBytes(32).toString('base64')}\n`, { mode: 0o644 });
    expect((await obiente('keys', 'add', file)).stderr).toContain('is open to every user');
    await chmod(file, 0o600);
    await writeFile(file, 'a secret that is no key\n');
    const refused = await obiente('keys', 'show', file);
    expect(refused.stderr).toContain('is not base64');
    expect(refused.stderr).not.toContain('a secret');
  });
});
