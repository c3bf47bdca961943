import { expect, it } from 'vitest';
import { createSlots } from './build-slots.ts';

const never = new AbortController().signal;

/** Takes a place for somebody, and tells what becomes of it. */
function aTaker(slots: ReturnType<typeof createSlots>, events: string[], name: string, signal = never) {
  const taken = slots.take(signal, () => events.push(`${name} waits`));
  void taken.then(
    () => events.push(`${name} is in`),
    () => events.push(`${name} left`),
  );
  return taken;
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

it('gives places in the order in which they were asked for, and says who has to wait', async () => {
  const events: string[] = [];
  const slots = createSlots(2);
  const first = await aTaker(slots, events, 'a');
  await aTaker(slots, events, 'b');
  void aTaker(slots, events, 'c');
  void aTaker(slots, events, 'd');
  await settled();
  expect(events.splice(0)).toEqual(['a is in', 'b is in', 'c waits', 'd waits']);
  first();
  first();
  await settled();
  expect(events).toEqual(['c is in']);
});

it('lets who is cancelled leave the line, and keeps its place for nobody', async () => {
  const events: string[] = [];
  const slots = createSlots(1);
  const giveBack = await aTaker(slots, events, 'a');
  const cancel = new AbortController();
  void aTaker(slots, events, 'b', cancel.signal).catch(() => undefined);
  const last = aTaker(slots, events, 'c');
  cancel.abort(new Error('cancelled'));
  giveBack();
  (await last)();
  await aTaker(slots, events, 'd');
  expect(events).toEqual(['a is in', 'b waits', 'c waits', 'b left', 'c is in', 'd is in']);
});
