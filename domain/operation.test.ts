import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LinedUp, lineUp, OPERATION_KINDS, type OperationKind, partOf, splitBegun } from './operation.ts';

function inLine(...kinds: OperationKind[]): LinedUp[] {
  return kinds.map((kind, index) => ({ operationId: `${kind}-${index}`, kind }));
}

function kindsOf(line: readonly LinedUp[]): OperationKind[] {
  return line.map(({ kind }) => kind);
}

describe('the line of a deployment', () => {
  it.each([
    { waiting: [], newcomer: 'deploy', line: ['deploy'], superseded: [] },
    { waiting: ['deploy'], newcomer: 'update', line: ['update'], superseded: ['deploy'] },
    { waiting: ['update'], newcomer: 'rollback', line: ['rollback'], superseded: ['update'] },
    { waiting: ['scale'], newcomer: 'deploy', line: ['scale', 'deploy'], superseded: [] },
    { waiting: ['scale', 'deploy'], newcomer: 'scale', line: ['deploy', 'scale'], superseded: ['scale'] },
    { waiting: ['stop'], newcomer: 'start', line: ['start'], superseded: ['stop'] },
    { waiting: ['restart', 'stop'], newcomer: 'restart', line: ['stop', 'restart'], superseded: ['restart'] },
    {
      waiting: ['deploy', 'scale', 'stop'],
      newcomer: 'remove',
      line: ['remove'],
      superseded: ['deploy', 'scale', 'stop'],
    },
  ] as const)('$newcomer behind $waiting makes it $line', ({ waiting, newcomer, line, superseded }) => {
    const answer = lineUp(inLine(...waiting), { operationId: 'new', kind: newcomer });
    expect(kindsOf(answer.line)).toEqual(line);
    expect(kindsOf(answer.superseded)).toEqual(superseded);
  });

  it('supersedes only what sets the same part: one service is not scaled by the scale of another', () => {
    const scale = (service: string, id: string): LinedUp => ({ operationId: id, kind: 'scale', part: service });
    const line = [scale('web', 'first'), scale('db', 'second')];
    expect(lineUp(line, scale('web', 'third'))).toEqual({
      line: [scale('db', 'second'), scale('web', 'third')],
      superseded: [scale('web', 'first')],
    });
    const whole: LinedUp = { operationId: 'fourth', kind: 'move' };
    const drained: LinedUp = { ...whole, operationId: 'fifth', part: 'host-a' };
    expect(lineUp([drained], whole)).toEqual({ line: [drained, whole], superseded: [] });
  });

  it('knows parts by service, and by the node that is left', () => {
    const move = { from: 'host-a', to: null, replicas: null };
    expect(partOf({ service: 'web' })).toBe('web');
    expect(partOf({ move })).toBe('host-a');
    expect(partOf({ move: { ...move, from: null, to: 'host-b' } })).toBeUndefined();
    expect(partOf({ move: { from: 'host-a', to: 'host-b', replicas: 1 } })).toBe('1 of host-a to host-b');
    expect(partOf({ service: null, move: null })).toBeUndefined();
  });

  it('loses nobody, keeps the order of those who stay, and never grows beyond one of each subject', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...OPERATION_KINDS), { maxLength: 30 }), (kinds) => {
        let line: readonly LinedUp[] = [];
        const left: string[] = [];
        for (const newcomer of inLine(...kinds)) {
          const before = line;
          const answer = lineUp(before, newcomer);
          const stayed = answer.line.slice(0, -1);
          expect(stayed).toEqual(before.filter((operation) => stayed.includes(operation)));
          expect(answer.line.at(-1)).toBe(newcomer);
          left.push(...answer.superseded.map(({ operationId }) => operationId));
          line = answer.line;
          expect(line.length).toBeLessThanOrEqual(7);
        }
        expect([...left, ...line.map(({ operationId }) => operationId)].sort()).toEqual(
          inLine(...kinds)
            .map(({ operationId }) => operationId)
            .sort(),
        );
      }),
    );
  });
});

describe('what comes to a deployment at once', () => {
  const come = (...kinds: OperationKind[]) => inLine(...kinds).map((one) => ({ ...one, supersedeRunning: false }));

  it('begins with the first where nothing is done, and waits behind what is', () => {
    const all = come('deploy', 'scale', 'update');
    expect(splitBegun(all, true)).toEqual({ begins: all.slice(0, 1), wait: all.slice(1) });
    expect(splitBegun(all, false)).toEqual({ begins: [], wait: all });
    expect(splitBegun(come(), true)).toEqual({ begins: [], wait: [] });
  });

  it('begins with nothing that a removal, or what supersedes the one under way, would end', () => {
    const removed = come('deploy', 'remove');
    expect(splitBegun(removed, true)).toEqual({ begins: [], wait: removed });
    const urgent = [...come('deploy'), { ...come('update')[0], supersedeRunning: true }] as typeof removed;
    expect(splitBegun(urgent, true)).toEqual({ begins: [], wait: urgent });
  });
});
