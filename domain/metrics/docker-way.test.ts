import { describe, expect, it } from 'vitest';
import { chooseDockerWay } from './docker-way.ts';

const OLD = { engineVersion: '20.10.24+dfsg1', containers: 10, maxWorkers: 50, deadlineMs: 4_500 };

describe('the way in which Docker is asked', () => {
  it.each([
    ['a call each time, as long as all of them end before the deadline', OLD, 'one-shot'],
    ['the same with as many containers as still fit', { ...OLD, containers: 200 }, 'one-shot'],
    ['streams for more than that', { ...OLD, containers: 201 }, 'held'],
    ['streams where the daemon’s second is longer than the round', { ...OLD, deadlineMs: 900 }, 'held'],
    ['calls for more containers than streams are held', { ...OLD, containers: 501 }, 'one-shot'],
    ['calls where the daemon does not wait', { ...OLD, engineVersion: '26.1.5', containers: 400 }, 'one-shot'],
    ['calls where the version says nothing', { ...OLD, engineVersion: 'dev', containers: 400 }, 'one-shot'],
  ] as const)('is %s', (_, load, way) => {
    expect(chooseDockerWay(load)).toBe(way);
  });
});
