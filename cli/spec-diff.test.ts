import { describe, expect, it } from 'vitest';
import { diffSpecs } from './spec-diff.ts';

describe('the difference between two specs', () => {
  it('is nothing between a spec and itself', () => {
    const spec = { port: 80, command: ['a', 'b'], limits: { cpuCores: 1 } };
    expect(diffSpecs(spec, structuredClone(spec))).toEqual([]);
  });

  it('names each setting that was added, changed or taken away', () => {
    const before = { port: 80, command: ['a', 'b'], limits: { cpuCores: 1 } };
    const after = { command: ['a', 'c', 'd'], limits: { cpuCores: 2 }, replicas: 3 };
    expect(diffSpecs(before, after)).toEqual([
      { path: 'command.1', before: 'b', after: 'c' },
      { path: 'command.2', before: undefined, after: 'd' },
      { path: 'limits.cpuCores', before: 1, after: 2 },
      { path: 'port', before: 80, after: undefined },
      { path: 'replicas', before: undefined, after: 3 },
    ]);
  });

  it('tells what has a name by that, wherever it stands', () => {
    const [web, db] = [
      { name: 'web', port: 80 },
      { name: 'db', port: 5432 },
    ];
    expect(diffSpecs({ services: [web, db] }, { services: [db, { ...web, port: 81 }] })).toEqual([
      { path: 'services.web.port', before: 80, after: 81 },
    ]);
  });
});
