import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import type { NodeLook } from '../contracts/reconcile.ts';
import type { SeenContainer } from '../domain/reconcile.ts';
import { type ContainerRegister, createLookAtContainers } from './look-at-containers.ts';

const aSeen = (id: string): SeenContainer => ({ id, name: `obiente-${id}`, labels: {} });

/** A daemon that lists some, knows some by id, and is in health as often as it is told. */
function aDaemon(
  has: {
    readonly listed?: readonly string[];
    readonly known?: readonly string[];
    readonly health?: readonly string[];
    readonly hangs?: readonly string[];
  } = {},
) {
  const { listed = [], known = listed, health = ['healthy'], hangs = [] } = has;
  const asked: string[] = [];
  let looks = 0;
  const register: ContainerRegister = {
    listContainers: async () => listed.map(aSeen),
    findContainer: async (id) => {
      asked.push(id);
      if (hangs.includes(id)) throw new Error('docker did not answer in time');
      return known.includes(id) ? {} : undefined;
    },
    checkHealth: async () => {
      looks += 1;
      return { kind: health[Math.min(looks, health.length) - 1] ?? '' };
    },
  };
  return { register, asked };
}

async function look(register: ContainerRegister, expected: readonly string[]): Promise<NodeLook> {
  const { lookAtContainers } = createLookAtContainers('test', register);
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  return (await environment.run(lookAtContainers, { expected })) as NodeLook;
}

const seen = (containers: readonly SeenContainer[], absent: readonly string[]) => ({
  instance: 'test',
  sight: { kind: 'seen', containers, absent },
});

describe('a look at a node’s containers', () => {
  it('tells of those that nobody expects, and of nothing that is as expected', async () => {
    const { register, asked } = aDaemon({ listed: ['a', 'b', 's'] });
    expect(await look(register, ['a', 'b'])).toEqual(seen([aSeen('s')], []));
    expect(asked).toEqual([]);
  });

  it('asks by id for what the list leaves out: only a clear no is absence', async () => {
    const { register, asked } = aDaemon({ listed: [], known: ['unlisted'], hangs: ['hangs'] });
    expect(await look(register, ['unlisted', 'hangs', 'absent'])).toEqual(seen([], ['absent']));
    expect(asked).toEqual(['unlisted', 'hangs', 'absent']);
  });

  it.each([
    ['before', ['unanswered']],
    ['after', ['healthy', 'unanswered']],
  ])('says nothing when the daemon does not work %s it', async (_, health) => {
    const { register } = aDaemon({ health });
    expect(await look(register, ['absent'])).toEqual({ instance: 'test', sight: { kind: 'silent' } });
  });

  it('fails when the daemon does not list, which says nothing either', async () => {
    const { register } = aDaemon();
    const broken = { ...register, listContainers: async () => await Promise.reject(new Error('docker is away')) };
    await expect(look(broken, ['absent'])).rejects.toThrow('docker is away');
  });

  it('is bounded, however much there is', async () => {
    const many = (kind: string) => Array.from({ length: 2_000 }, (_, index) => `${kind}${index}`);
    const { register, asked } = aDaemon({ listed: many('s'), known: [] });
    const { sight } = await look(register, many('e'));
    expect(asked).toHaveLength(500);
    expect(sight.kind === 'seen' && [sight.containers.length, sight.absent.length]).toEqual([100, 500]);
  });
});
