import { describe, expect, it } from 'vitest';
import { expectAfter } from './model.ts';
import type { OperationName } from './operations.ts';
import type { Subject } from './subject.ts';

const subject = { replicas: 2 } as Subject;
const create = { operation: 'create', version: 1 } as const;
const update = { operation: 'update', version: 2 } as const;
const remove = { operation: 'delete', version: 0 } as const;

describe('the reference model', () => {
  it('lets the newest operation win, and the earlier ones be done or overtaken', () => {
    const { wanted, endings } = expectAfter(subject, [create, update]);
    expect(wanted).toEqual({ version: 2, replicas: 2, stopped: false });
    expect(endings[0]?.test('superseded')).toBe(true);
    expect(endings[0]?.test('cancelled')).toBe(false);
    expect(endings[1]?.test('superseded')).toBe(false);
    expect(endings[1]?.test('succeeded')).toBe(true);
  });

  it('leaves nothing after a delete, under which everything may have been cancelled', () => {
    const { wanted, endings } = expectAfter(subject, [create, update, remove, remove]);
    expect(wanted).toBeNull();
    expect(endings[1]?.test('cancelled')).toBe(true);
    expect(endings[1]?.test('failed REPLICA_UNHEALTHY')).toBe(false);
    expect(endings[2]?.test('cancelled')).toBe(false);
    expect(endings[3]?.test('superseded')).toBe(false);
  });

  it('keeps what an operation does not speak of', () => {
    const scale = { operation: 'scale', version: 3 } as const;
    const wantedAfter = (...later: OperationName[]) =>
      expectAfter(subject, [create, update, scale, ...later.map((operation) => ({ operation, version: 9 }))]).wanted;
    expect(wantedAfter()).toEqual({ version: 2, replicas: 3, stopped: false });
    expect(wantedAfter('stop')).toEqual({ version: 2, replicas: 3, stopped: true });
    expect(wantedAfter('stop', 'start', 'restart')).toEqual({ version: 2, replicas: 3, stopped: false });
    expect(wantedAfter('stop', 'rollback')).toEqual({ version: 1, replicas: 3, stopped: false });
  });

  it('lets a restart fail that may come after a stop, and no other', () => {
    const stop = { operation: 'stop', version: 3 } as const;
    const restart = { operation: 'restart', version: 4 } as const;
    expect(expectAfter(subject, [create, stop, restart]).endings[2]?.test('failed NOT_DEPLOYED')).toBe(true);
    expect(expectAfter(subject, [create, restart, stop]).endings[1]?.test('failed NOT_DEPLOYED')).toBe(false);
  });

  it('knows what must not be accepted', () => {
    expect(() => expectAfter(subject, [create, remove, update])).toThrow('update was accepted');
    expect(() => expectAfter(subject, [update])).toThrow('update was accepted');
    expect(() => expectAfter(subject, [create, create])).toThrow('create was accepted');
  });
});
