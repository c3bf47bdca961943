import { describe, expect, it } from 'vitest';
import { parseImageReference, parseRegistryHost, registryOf } from './image-reference.ts';

const DIGEST = `sha256:${'0a'.repeat(32)}`;

function parse(reference: string, allowedRegistries: string[] = []): string {
  return parseImageReference('reference', reference, { allowedRegistries });
}

describe('an image reference', () => {
  it.each([
    'nginx:1.29',
    'library/nginx:latest',
    'ghcr.io/acme/api:v1',
    `ghcr.io/acme/api@${DIGEST}`,
    `nginx:1@${DIGEST}`,
    'registry.example.com:5000/a/b__c/d-e:T_1.2-x',
    '8.8.8.8:5000/x:1',
  ])('is taken as it is: %s', (reference) => {
    expect(parse(reference)).toBe(reference);
  });

  it('gets a tag where it names neither tag nor digest, so that no daemon takes it for an id', () => {
    expect(parse('cafe')).toBe('cafe:latest');
    expect(parse('ghcr.io/acme/api')).toBe('ghcr.io/acme/api:latest');
  });

  it.each([
    ...[
      '',
      ':',
      'a:',
      '@sha256:',
      `@${DIGEST}`,
      'a@sha256:abc',
      `a@${DIGEST}@${DIGEST}`,
      'Nginx',
      'a b',
      'a\nb',
      'a\0',
    ],
    ...['image;id', '$(id)', '-rf', '--privileged', 'a//b', '/a', 'a/', 'a/../b', 'ä', `sha256:${'0'.repeat(64)}`],
    ...[`${'a'.repeat(256)}:1`, `a:${'t'.repeat(129)}`, 'a:-x', 'http://x.example/y', 'exam ple.com/x', '.example/x'],
  ])('is refused when it is none: %j', (reference) => {
    expect(() => parse(reference)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: 'reference' }));
  });

  it.each([
    ...[
      '127.0.0.1:5000/x',
      'localhost/x',
      'localhost:5000/x',
      'LOCALHOST/x',
      'app.localhost/x',
      '127.1/x',
      '2130706433:80/x',
    ],
    ...['0x7f.1:80/x', '0177.0.0.1/x', '0.0.0.0/x', '10.0.0.1/x', '172.16.0.1/x', '192.168.1.1/x', '100.64.0.1/x'],
    ...['169.254.169.254/x', '192.0.0.1/x', '198.18.0.1/x', '224.0.0.1/x', '255.255.255.255/x', '999.1.1.1/x'],
    ...['[::1]:5000/x', 'registry:5000/x', 'metadata.google.internal/x', 'printer.local/x', 'docker.lan/x'],
  ])("is refused when its registry is on the platform's own network: %s", (reference) => {
    expect(() => parse(reference)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('may name a local registry that the operator allows, and only that one', () => {
    expect(parse('127.0.0.1:5000/x:1', ['127.0.0.1:5000'])).toBe('127.0.0.1:5000/x:1');
    expect(() => parse('127.0.0.1:5001/x:1', ['127.0.0.1:5000'])).toThrow();
  });

  it.each(['obiente-abc12345/0123:r1', 'docker.io/obiente-abc12345/0123:r1', 'index.docker.io/obiente-a/b'])(
    'cannot name what the platform built for somebody: %s',
    (reference) => {
      expect(() => parse(reference)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    },
  );
});

describe("a registry's host", () => {
  const parseHost = (host: string, allowedRegistries: string[] = []) =>
    parseRegistryHost('host', host, { allowedRegistries });

  it('has one spelling, which is that of the references to it', () => {
    expect(parseHost('GHCR.io')).toBe('ghcr.io');
    expect(parseHost('index.docker.io')).toBe('docker.io');
    expect(parseHost('registry.example.com:5000')).toBe('registry.example.com:5000');
    expect(parseHost('127.0.0.1:5000', ['127.0.0.1:5000'])).toBe('127.0.0.1:5000');
  });

  it.each([
    ...['', 'ghcr', 'acme/app', 'ghcr.io/acme', 'https://ghcr.io', 'ghcr.io/', 'user@ghcr.io', 'gh cr.io', '-x.io'],
    ...['127.0.0.1:5000', 'localhost', 'registry.internal', '10.1.2.3', '169.254.169.254', '2130706433.:80'],
  ])('is refused when it is none, or leads into the platform: %j', (host) => {
    expect(() => parseHost(host)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: 'host' }));
  });

  it.each([
    ['nginx:1.29', 'docker.io'],
    ['acme/app@sha256:x', 'docker.io'],
    ['docker.io/acme/app:1', 'docker.io'],
    ['index.docker.io/acme/app:1', 'docker.io'],
    ['GHCR.io/acme/app:1', 'ghcr.io'],
    ['localhost/app:1', 'localhost'],
    ['registry.example.com:5000/app', 'registry.example.com:5000'],
  ])('is what %s leads to', (reference, host) => {
    expect(registryOf(reference)).toBe(host);
  });
});
