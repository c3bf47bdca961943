import { describe, expect, it } from 'vitest';
import { expectAfter } from './model.ts';
import type { Subject } from './subject.ts';

const subject = { replicas: 2 } as Subject;
const create = { operation: 'create', version: 1 } as const;
const update = { operation: 'update', version: 2 } as const;
const remove = { operation: 'delete', version: 0 } as const;

describe('the reference model', () => {
  it('lets the newest operation win, and the earlier ones be done or overtaken', () => {
    const { wanted, endings } = expectAfter(subject, [create, update]);
    expect(wanted).toEqual({ version: 2, replicas: 2 });
    expect(endings[0]?.test('superseded')).toBe(true);
    expect(endings[0]?.test('failed CANCELLED')).toBe(false);
    expect(endings[1]?.test('superseded')).toBe(false);
    expect(endings[1]?.test('succeeded')).toBe(true);
  });

  it('leaves nothing after a delete, under which everything may have been cancelled', () => {
    const { wanted, endings } = expectAfter(subject, [create, update, remove, remove]);
    expect(wanted).toBeNull();
    expect(endings[1]?.test('failed CANCELLED')).toBe(true);
    expect(endings[1]?.test('failed REPLICA_UNHEALTHY')).toBe(false);
    expect(endings[2]?.test('failed CANCELLED')).toBe(false);
    expect(endings[3]?.test('superseded')).toBe(false);
  });

  it('knows what must not be accepted', () => {
    expect(() => expectAfter(subject, [create, remove, update])).toThrow('update was accepted');
    expect(() => expectAfter(subject, [update])).toThrow('update was accepted');
    expect(() => expectAfter(subject, [create, create])).toThrow('create was accepted');
  });
});
