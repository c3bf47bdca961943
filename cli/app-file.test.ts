import { describe, expect, it } from 'vitest';
import { parseAppFile } from './app-file.ts';

describe('obiente.yaml', () => {
  it('gives sizes as bytes and durations as milliseconds', () => {
    const text =
      'name: web\nport: 8080\nmemory: 256MiB\nhealth:\n  path: /up\n  interval: 5s\nenv:\n  MODE: fast\n  PORT: 1\n  SECRET: null';
    expect(parseAppFile(text)).toEqual({
      name: 'web',
      port: 8080,
      memory: 268_435_456n,
      health: { path: '/up', interval: 5000 },
      env: { MODE: 'fast', PORT: 1, SECRET: null },
    });
  });

  it('may be empty', () => {
    expect(parseAppFile('')).toEqual({});
    expect(parseAppFile('# nothing yet\n')).toEqual({});
  });

  it.each([
    ['port: 70000', /port: .*65535/],
    ['replicas: -1', /replicas: /],
    ['prot: 80', /prot/],
    ['memory: lots', /memory: "lots" is not a size/],
    ['health: { path: up }', /health\.path: /],
    ['health: { path: /up, interval: 5 }', /health\.interval: /],
    ['health: { path: /up, intervall: 5s }', /intervall/],
    ['health: sometimes', /health: /],
    ['restart: perhaps', /restart: /],
    ['env: [A=1]', /env: /],
    ['command: echo hi', /command: /],
    ['- a list', /the file: /],
    ['a: b: c', /obiente\.yaml: /],
  ])('refuses %j and names the place', (text, message) => {
    expect(() => parseAppFile(text)).toThrow(message);
  });

  it('lists every problem at once', () => {
    expect(() => parseAppFile('port: 0\nreplicas: many')).toThrow(/port: .*; replicas: /);
  });

  it('refuses a file that grows out of aliases', () => {
    const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
    for (let index = 1; index < 9; index += 1) {
      lines.push(`a${index}: &a${index} [${Array.from({ length: 10 }, () => `*a${index - 1}`).join(',')}]`);
    }
    expect(() => parseAppFile(lines.join('\n'))).toThrow('too many aliases');
  });
});
