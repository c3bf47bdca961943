import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
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

  it('is cleaned up whole although the interrupt comes twice', async () => {
    const module = JSON.stringify(join(import.meta.dirname, 'clean-up.ts'));
    const program = `
      const { cleaningUp } = await import(${module});
      await cleaningUp(async (stack) => {
        stack.defer(async () => {
          console.log('cleaning');
          await new Promise((resolve) => process.stdin.once('data', resolve));
          console.log('clean');
        });
        console.log('at work');
        await new Promise(() => setInterval(() => {}, 1000));
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
    let printed = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const had = printed;
      printed += chunk.toString();
      for (const word of ['at work', 'cleaning']) {
        if (!printed.includes(word) || had.includes(word)) continue;
        child.kill('SIGINT');
        if (word === 'cleaning') child.stdin.write('go on\n');
      }
    });
    const [code] = (await once(child, 'close')) as [number | null];
    expect(printed).toBe('at work\ncleaning\nclean\n');
    expect(code).toBe(130);
  });
});
