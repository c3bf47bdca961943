import { describe, expect, it } from 'vitest';
import { cleaningUp } from './clean-up.ts';

describe('what a bench leaves', () => {
  it('is cleaned up last first, and the result comes after that', async () => {
    const done: string[] = [];
    const result = await cleaningUp(async (stack) => {
      stack.defer(() => void done.push('docker'));
      stack.defer(() => void done.push('platform'));
      return 'figures';
    });
    expect([...done, result]).toEqual(['platform', 'docker', 'figures']);
  });

  it('is cleaned up when the bench fails, whose error comes through', async () => {
    const done: string[] = [];
    const failing = cleaningUp(async (stack) => {
      stack.defer(() => void done.push('docker'));
      throw new Error('no platform');
    });
    await expect(failing).rejects.toThrow('no platform');
    expect(done).toEqual(['docker']);
  });

  it('holds no listener for signals afterwards', async () => {
    const before = process.listenerCount('SIGINT');
    await cleaningUp(async () => expect(process.listenerCount('SIGINT')).toBe(before + 1));
    expect(process.listenerCount('SIGINT')).toBe(before);
  });
});
