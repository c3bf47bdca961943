import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkHost, isPublicAddress } from './public-host.ts';

describe('an address', () => {
  it.each([
    ...[
      '8.8.8.8',
      '1.1.1.1',
      '100.63.255.255',
      '100.128.0.1',
      '172.15.0.1',
      '172.32.0.1',
      '192.0.1.1',
      '223.255.255.255',
    ],
    ...['2606:4700:4700::1111', '2a00:1450:4001:81b::200e', '2001:200::1', '2003::1', '3fff:1000::1', '2000::'],
  ])('is of the internet: %s', (address) => expect(isPublicAddress(address)).toBe(true));

  it.each([
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '100.127.255.255', '127.0.0.1', '169.254.169.254', '172.16.0.1'],
    ...['172.31.255.255', '192.0.0.8', '192.168.1.1', '198.18.0.1', '198.19.255.255', '224.0.0.1', '240.0.0.1'],
    ...['255.255.255.255', '127.1', '0x7f.0.0.1', '0177.0.0.1', '2130706433', '1.2.3', '1.2.3.4.5', '256.1.1.1', ''],
    ...['::', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::127.0.0.1', '64:ff9b::7f00:1', '64:ff9b:1::7f00:1'],
    ...['fe80::1', 'fe80::1%eth0', 'fd00::1', 'fc00::1', 'ff02::1', '2001::1', '2001:1ff:ffff::1', '2001:db8::1'],
    ...['2002:7f00:1::', '3fff:0fff::1', '4000::1', '1fff::1', ':::', '1::2::3', '2606:4700', '2606:47000::1'],
    ...['2606:1:2:3:4:5:6:7:8', '2606:1:2:3:4:5:6:7::', ':2606::1', '[2606::1]', '2606::1 ', 'git.example.com'],
  ])('is not of the internet: %j', (address) => expect(isPublicAddress(address)).toBe(false));

  it('of IPv4 counts exactly when it is in no reserved block, however the blocks are counted', () => {
    const octet = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(octet, octet, octet, octet, (a, b, c, d) => {
        const isReserved =
          [0, 10, 127].includes(a) ||
          a >= 224 ||
          (a === 100 && b >= 64 && b < 128) ||
          (a === 169 && b === 254) ||
          (a === 172 && b >= 16 && b < 32) ||
          (a === 192 && (b === 168 || (b === 0 && c === 0))) ||
          (a === 198 && (b === 18 || b === 19));
        expect(isPublicAddress(`${a}.${b}.${c}.${d}`)).toBe(!isReserved);
      }),
    );
  });
});

describe('a host', () => {
  const check = (host: string, allowed: string[] = []) => checkHost('url', { kind: 'host', host, allowed });

  it.each(['github.com', 'GitHub.com', 'git.example.com:8443', '8.8.8.8', 'xn--bcher-kva.example'])(
    'on the internet may be named: %s',
    (host) => expect(() => check(host)).not.toThrow(),
  );

  it.each([
    ...['localhost', 'LOCALHOST', 'localhost.', 'app.localhost', 'git', 'git.internal', 'git.local', 'git.lan'],
    ...['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0177.0.0.1', '10.0.0.1:22', '169.254.169.254', '[::1]'],
    ...['-oProxyCommand=id', 'a..b', 'a_b.example', 'exam ple.com', 'ⓛocalhost', '①②⑦.⓪.⓪.①', 'git.example.com:', ''],
  ])('of the platform, or that is none, may not: %j', (host) => {
    expect(() => check(host)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: 'url' }));
  });

  it('that the operator allows may be named, with that port only', () => {
    expect(() => check('GIT.internal', ['git.internal'])).not.toThrow();
    expect(() => check('127.0.0.1:8443', ['127.0.0.1:8443'])).not.toThrow();
    expect(() => check('127.0.0.1:8444', ['127.0.0.1:8443'])).toThrow();
    expect(() => check('git.internal:8443', ['git.internal'])).toThrow();
  });
});
