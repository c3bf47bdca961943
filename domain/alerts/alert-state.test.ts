import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AlertState,
  type Condition,
  INACTIVE,
  NO_DATA,
  nextAlert,
  type Reading,
  readValue,
} from './alert-state.ts';

const CPU: Condition = { direction: 'above', fireAt: 90, clearAt: 80, forMs: 60_000, clearForMs: 30_000 };

/** Readings every ten seconds. */
function run(condition: Condition, readings: readonly Reading[], stepMs = 10_000) {
  let state: AlertState = INACTIVE;
  return readings.map((reading, index) => {
    const step = nextAlert(state, condition, reading, index * stepMs);
    state = step.state;
    return step;
  });
}

const events = (steps: ReturnType<typeof run>) => steps.flatMap(({ event }) => event ?? []);
const values = (...numbers: number[]): Reading[] => numbers.map(readValue);
const times = (count: number, value: number): number[] => Array.from({ length: count }, () => value);

describe('an alert', () => {
  it('waits, fires once, and resolves once', () => {
    const steps = run(CPU, values(...times(12, 95), ...times(6, 50)));
    expect(steps.map(({ state }) => state.kind).slice(0, 8)).toEqual([
      ...Array.from({ length: 6 }, () => 'pending'),
      ...['firing', 'firing'],
    ]);
    expect(events(steps)).toEqual(['fired', 'resolved']);
    expect(steps.at(-1)?.state).toEqual(INACTIVE);
  });

  it('does not fire when the condition breaks off before its time', () => {
    expect(events(run(CPU, values(...times(6, 95), 50, ...times(6, 95))))).toEqual([]);
  });

  it('does not flap between the two thresholds', () => {
    const wavering = Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? 95 : 85));
    expect(events(run(CPU, values(...times(7, 95), ...wavering)))).toEqual(['fired']);
  });

  it('goes on firing without data, says so, and resolves only by values', () => {
    const silent: Reading[] = Array.from({ length: 50 }, () => NO_DATA);
    const steps = run(CPU, [...values(...times(7, 95)), ...silent]);
    expect(events(steps)).toEqual(['fired']);
    expect(steps.at(-1)?.state).toMatchObject({ kind: 'firing', noDataSinceMs: 70_000, value: 95 });
    expect(events(run(CPU, [...values(...times(7, 95)), ...silent, ...values(10, 10, 10, 10)]))).toEqual([
      'fired',
      'resolved',
    ]);
  });

  it('takes no silence for a condition that held', () => {
    expect(events(run(CPU, [...values(95, 95), NO_DATA, ...values(...times(6, 95))]))).toEqual([]);
  });

  it('watches what must not become little the other way round', () => {
    const expiry: Condition = { direction: 'below', fireAt: 14, clearAt: 20, forMs: 0, clearForMs: 0 };
    expect(run(expiry, values(30, 14, 13, 17, 20, 89)).map(({ event }) => event)).toEqual([
      ...[null, 'fired', null, null, null, 'resolved'],
    ]);
  });
});

describe('any alert, whatever is read', () => {
  const condition = fc
    .record({
      direction: fc.constantFrom('above' as const, 'below' as const),
      fireAt: fc.integer({ min: 0, max: 100 }),
      gap: fc.integer({ min: 0, max: 50 }),
      forMs: fc.integer({ min: 0, max: 100 }),
      clearForMs: fc.integer({ min: 0, max: 100 }),
    })
    .map(({ gap, ...rest }) => ({
      ...rest,
      clearAt: rest.direction === 'above' ? rest.fireAt - gap : rest.fireAt + gap,
    }));
  const reading: fc.Arbitrary<Reading> = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -60, max: 160 }).map(readValue) },
    { weight: 1, arbitrary: fc.constant(NO_DATA) },
  );
  const script = fc.array(fc.tuple(reading, fc.integer({ min: -20, max: 60 })), { maxLength: 60 });

  it('fires and resolves in turn, never two of a kind in a row, and never without data', () => {
    fc.assert(
      fc.property(condition, script, (rule, steps) => {
        let [state, last, nowMs]: [AlertState, string, number] = [INACTIVE, 'resolved', 1_000];
        for (const [read, passMs] of steps) {
          nowMs += passMs;
          const step = nextAlert(state, rule, read, nowMs);
          if (step.event !== null) {
            expect(read.kind).toBe('value');
            expect(step.event).not.toBe(last);
            last = step.event;
          }
          expect(step.state.kind === 'firing').toBe(last === 'fired');
          state = step.state;
        }
      }),
    );
  });

  it('fires only after it held for its time without a break, and resolves only after it had ended for its time', () => {
    fc.assert(
      fc.property(condition, script, (rule, steps) => {
        let [state, nowMs]: [AlertState, number] = [INACTIVE, 1_000];
        let [heldSinceMs, endedSinceMs]: [number | null, number | null] = [null, null];
        for (const [read, passMs] of steps) {
          nowMs += Math.abs(passMs);
          const value = read.kind === 'value' ? read.value : null;
          const isAbove = rule.direction === 'above';
          const isHeld = value !== null && (isAbove ? value >= rule.fireAt : value <= rule.fireAt);
          const isOver = value !== null && !isHeld && (isAbove ? value < rule.clearAt : value > rule.clearAt);
          heldSinceMs = isHeld ? (heldSinceMs ?? nowMs) : null;
          endedSinceMs = isOver ? (endedSinceMs ?? nowMs) : null;
          const step = nextAlert(state, rule, read, nowMs);
          if (step.event === 'fired') expect(nowMs - (heldSinceMs ?? nowMs + 1)).toBeGreaterThanOrEqual(rule.forMs);
          if (step.event === 'resolved') {
            expect(nowMs - (endedSinceMs ?? nowMs + 1)).toBeGreaterThanOrEqual(rule.clearForMs);
          }
          state = step.state;
        }
      }),
    );
  });

  it('changes nothing when the same reading is taken twice at the same moment', () => {
    fc.assert(
      fc.property(condition, script, (rule, steps) => {
        let [state, nowMs]: [AlertState, number] = [INACTIVE, 1_000];
        for (const [read, passMs] of steps) {
          nowMs += passMs;
          const first = nextAlert(state, rule, read, nowMs);
          const second = nextAlert(first.state, rule, read, nowMs);
          expect(second.event).toBeNull();
          expect(second.state).toEqual(first.state.kind === 'firing' ? first.state : second.state);
          state = first.state;
        }
      }),
    );
  });
});
