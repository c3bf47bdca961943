import { describe, expect, it } from 'vitest';
import { asksRegistry, type FoundImage, nextImageStep, type PullWish } from './image-access.ts';

const DIGEST = `sha256:${'0a'.repeat(32)}`;
const LOCAL: FoundImage = { origin: 'made-here', isGranted: false };
const UNKNOWN: FoundImage = { origin: 'unknown', isGranted: false };
const GRANTED: FoundImage = { origin: 'registry', isGranted: true };
const FOREIGN: FoundImage = { origin: 'registry', isGranted: false };

function wish(changes: Partial<PullWish> = {}): PullWish {
  return { policy: undefined, tag: '1.0', digest: null, ...changes };
}

describe('whether the registry is asked for an image that is there', () => {
  it.each<[boolean, Partial<PullWish>]>([
    [true, { tag: 'latest' }],
    [false, { tag: '1.0' }],
    [false, { tag: 'latest', digest: DIGEST }],
    [true, { tag: '1.0', policy: 'always' }],
    [true, { digest: DIGEST, policy: 'always' }],
    [false, { tag: 'latest', policy: 'if-not-present' }],
  ])('%s for %j', (asked, changes) => {
    expect(asksRegistry(wish(changes))).toBe(asked);
  });
});

describe('where a node gets an image', () => {
  it.each<[string, FoundImage | undefined, Partial<PullWish>, string]>([
    ['one that it does not have', undefined, { policy: 'if-not-present' }, 'ask'],
    ["one that this tenant's credential brought", GRANTED, {}, 'use'],
    ["one that this tenant's credential brought, whose tag moves", GRANTED, { tag: 'latest' }, 'ask'],
    ["one that another tenant's credential brought", FOREIGN, {}, 'ask'],
    ["one that another tenant's credential brought, by its digest", FOREIGN, { digest: DIGEST }, 'ask'],
    ["one that another tenant's credential brought, as present", FOREIGN, { policy: 'if-not-present' }, 'ask'],
    ['one that was made here', LOCAL, {}, 'use'],
    ['one that was made here, whose tag moves', LOCAL, { tag: 'latest' }, 'use'],
    ['one that was made here, but is wanted fresh', LOCAL, { policy: 'always' }, 'ask-or-use'],
    ['one of which nobody knows where it came from', UNKNOWN, {}, 'use'],
    ['one of which nobody knows where it came from, whose tag moves', UNKNOWN, { tag: 'latest' }, 'ask-or-use'],
  ])('%s', (_, found, changes, step) => {
    expect(nextImageStep(found, wish(changes))).toBe(step);
  });
});
