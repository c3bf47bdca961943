import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anOpenGitSource, aReadFile, aSpec } from '../test/support/builders.ts';
import {
  changeSpec,
  isUnread,
  leftOutFor,
  originOf,
  readAnew,
  repositoryOfSpec,
  toStored,
  withFile,
  withoutFile,
} from './compose-origin.ts';
import { ANYWHERE } from './placement/policy.ts';
import { isSameService } from './same-service.ts';
import { type ComposeSpec, type DeploymentSpec, isCompose, type ServiceSpec, servicesOf } from './spec.ts';
import type { SpecChange } from './spec-change.ts';

const FILE = aReadFile({ web: 'built', cache: 'pulled' });
const asked = () => toStored(aSpec({ source: anOpenGitSource({ composePath: '' }) })) as ComposeSpec;
const EU = { attribute: 'node.labels.region', isEqual: true, value: 'eu' };

function change(changes: Partial<SpecChange>): SpecChange {
  return { service: null, replace: {}, setVariables: [], unsetVariables: [], ...changes };
}

describe('a spec from a repository', () => {
  it.each([
    ['an image', aSpec(), false],
    ['a Dockerfile that is named', aSpec({ source: anOpenGitSource({ dockerfilePath: 'Dockerfile' }) }), false],
    ['a stage of a Dockerfile', aSpec({ source: anOpenGitSource({ target: 'web' }) }), false],
    ['a repository of which nothing is said', aSpec({ source: anOpenGitSource() }), true],
    ['a Compose file', aSpec({ source: anOpenGitSource({ composePath: 'deploy/compose.yaml' }) }), true],
  ])('of %s says whether it has to be read first', (_, spec, unread) => {
    const stored = toStored(spec);
    expect(isUnread(stored)).toBe(unread);
    expect(repositoryOfSpec(stored)).toEqual(
      spec.source.kind === 'git' ? expect.objectContaining({ url: spec.source.url, ref: 'main' }) : undefined,
    );
    expect(servicesOf(stored)).toHaveLength(spec.source.kind === 'git' && 'composePath' in spec.source ? 0 : 1);
  });

  it('is an image where no Compose file was found, and then what it was', () => {
    const spec = aSpec({ source: anOpenGitSource() });
    expect(withoutFile(toStored(spec))).toEqual(spec);
  });

  it('has the services of its file once that was read, and keeps where it came from', () => {
    const read = withFile(asked(), FILE);
    expect(isUnread(read)).toBe(false);
    expect(read.services).toEqual(FILE.services);
    expect(originOf(read)).toMatchObject({ ref: 'main', composePath: '' });
    const found = withFile(toStored(aSpec({ source: anOpenGitSource(), environment: [] })), FILE);
    expect(originOf(found)).not.toHaveProperty('composePath');
    expect(isUnread(readAnew(read))).toBe(true);
    expect(readAnew(aSpec())).toEqual(aSpec());
  });

  it('keeps of its placement what was asked for, and not what an earlier file said', () => {
    const placement = { ...ANYWHERE, near: 'db', constraints: [EU] };
    const unread = toStored(aSpec({ source: anOpenGitSource({ composePath: '' }), placement }));
    const other = { ...EU, value: 'other' };
    const read = withFile(unread, { ...FILE, placement: { ...placement, constraints: [EU, other] } });
    expect(readAnew(read).placement).toEqual(placement);
  });

  it('keeps changes of services that nobody knows yet, and applies them in their order when they are known', () => {
    const limits = { cpuCores: 2, memoryBytes: 2 ** 26 };
    const first = changeSpec(asked(), change({ service: 'web', replace: { replicas: 2, limits } }));
    const second = changeSpec(first, change({ service: 'web', replace: { replicas: 3 } }));
    expect(isUnread(second)).toBe(true);
    const read = withFile(second, FILE);
    expect(read.services[0]).toMatchObject({ name: 'web', replicas: 3, limits });
    expect(originOf(read)).not.toHaveProperty('changes');
    const unknown = changeSpec(asked(), change({ service: 'jobs', replace: { replicas: 2 } }));
    expect(() => withFile(unknown, FILE)).toThrow('service: found "jobs"; allowed is one of web, cache');
  });

  it('is the same after any changes, whether they came before it was read or after', () => {
    const service = fc.constantFrom('web', 'cache', null);
    const variable = fc.constantFrom('A', 'B').map((name) => ({ name, sealed: name, fingerprint: 'a'.repeat(12) }));
    const changes = fc.array(
      fc.record({
        service,
        replicas: fc.nat(5),
        setVariables: fc.uniqueArray(variable, { selector: ({ name }) => name }),
      }),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(changes, (list) => {
        const wanted = list.map(({ service: name, replicas, setVariables }) =>
          name === null ? change({}) : change({ service: name, replace: { replicas }, setVariables }),
        );
        const before = withFile(wanted.reduce<DeploymentSpec>(changeSpec, asked()), FILE);
        const after = wanted.reduce<DeploymentSpec>(changeSpec, withFile(asked(), FILE));
        expect(before).toEqual(after);
        expect(withFile(readAnew(before), FILE)).toEqual(withFile(asked(), FILE));
      }),
    );
  });

  it('tells what was asked of one image and is left out', () => {
    expect(leftOutFor(asked(), 'compose.yaml')).toEqual([]);
    expect(leftOutFor(aSpec({ source: anOpenGitSource(), port: null }), 'compose.yaml')).toEqual([]);
    expect(leftOutFor(aSpec({ source: anOpenGitSource(), port: 80, command: ['x'] }), 'compose.yaml')).toEqual([
      'spec.port: left out, since compose.yaml says it for each of its services',
      'spec.command: left out, since compose.yaml says it for each of its services',
    ]);
  });
});

describe('a service that is built from a commit', () => {
  const web = (ref: string, filesSha256?: string): ServiceSpec => {
    const [service] = FILE.services;
    if (service?.source.kind !== 'git') throw new Error('no such service');
    return { ...service, source: { ...service.source, ref, ...(filesSha256 ? { filesSha256 } : {}) } };
  };
  const [one, other] = ['a'.repeat(40), 'b'.repeat(40)];
  const stays = (running: ServiceSpec, wanted: ServiceSpec): boolean =>
    isSameService({ service: running, digest: 'sha256:one' }, { service: wanted, digest: null });

  it('stays as it is at the same commit, and at another one where its files are the same', () => {
    expect(stays(web(one), web(one))).toBe(true);
    expect(stays(web(one), web(other))).toBe(false);
    expect(stays(web(one, 'f'.repeat(64)), web(other, 'f'.repeat(64)))).toBe(true);
    expect(stays(web(one, 'f'.repeat(64)), web(other, '0'.repeat(64)))).toBe(false);
    expect(stays(web(one, 'f'.repeat(64)), web(other))).toBe(false);
    expect(isCompose(FILE)).toBe(true);
  });
});
