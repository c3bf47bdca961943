import { describe, expect, it } from 'vitest';
import { type JoinOptions, readJoinOptions } from './join-options.ts';

const given: JoinOptions = {
  ...{ server: 'https://api.example.com/', label: [], dir: '/var/lib/obiente/node', runtime: 'docker', service: true },
  ...{ gatewayPort: '7410', streamerPort: '7411' },
};
const read = (changes: Partial<JoinOptions>) => readJoinOptions({ ...given, ...changes });

describe('the options of obiente node join', () => {
  it('are read as they stand, a region as a label', () => {
    const label = ['disk=ssd', 'owner=team-a'];
    expect(read({ label, region: 'eu', name: 'rack-3', address: '10.0.0.7' })).toEqual({
      ...{ server: 'https://api.example.com', name: 'rack-3', address: '10.0.0.7', dir: given.dir },
      ...{
        labels: { disk: 'ssd', owner: 'team-a', region: 'eu' },
        gatewayPort: 7410,
        streamerPort: 7411,
        runtime: 'docker',
      },
    });
  });

  it('say of what replicas are made, and nothing else is taken', () => {
    expect(read({ runtime: 'swarm' }).runtime).toBe('swarm');
    expect(() => read({ runtime: 'podman' })).toThrow('found "podman"; allowed are docker and swarm');
  });

  it('name https, or http where nobody is between or somebody says so', () => {
    expect(read({ server: 'http://127.0.0.1:7400' }).server).toBe('http://127.0.0.1:7400');
    expect(read({ server: 'http://10.0.0.1:7400', insecure: true }).server).toBe('http://10.0.0.1:7400');
    expect(() => read({ server: 'http://10.0.0.1:7400' })).toThrow(/--server: .* is over http; allowed is https/);
    for (const server of ['', 'api.example.com', 'ftp://api.example.com', 'javascript:alert(1)']) {
      expect(() => read({ server })).toThrow(/--server: .* is not a URL/);
    }
  });

  it.each([
    ['--name', { name: '-x' }],
    ['--name', { name: 'a\nb' }],
    ['--address', { address: 'host.example.com' }],
    ['--address', { address: '10.0.0.1; id' }],
    ['--dir', { dir: 'node' }],
    ['--gateway-port', { gatewayPort: '0' }],
    ['--streamer-port', { streamerPort: '65536' }],
    ['--label', { label: ['disk'] }],
    ['--label', { label: ['disk=ssd,x=y'] }],
    ['--label', { label: ['a=b=c'] }],
    ['--label', { label: ['A=b'] }],
    ['--label', { label: ['region=us'], region: 'eu' }],
    ['--label', { region: 'e u' }],
  ] satisfies readonly (readonly [string, Partial<JoinOptions>])[])('refuse by name: %s %j', (field, changes) => {
    expect(() => read(changes)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field }));
  });
});
