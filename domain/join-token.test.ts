import { expect, it } from 'vitest';
import { whyRefused } from './join-token.ts';

const fresh = { expired: false, revoked: false, usedBy: null };

it('a join token is good for one node until it expires, which may ask again', () => {
  expect(whyRefused(fresh, 'node-a')).toBeUndefined();
  expect(whyRefused({ ...fresh, usedBy: 'node-a' }, 'node-a')).toBeUndefined();
  expect(whyRefused({ ...fresh, usedBy: 'node-a' }, 'node-b')).toMatch(/another host has joined with it/);
  expect(whyRefused({ ...fresh, usedBy: 'node-a', expired: true }, 'node-a')).toMatch(/has expired/);
  expect(whyRefused({ ...fresh, expired: true }, 'node-a')).toMatch(/has expired/);
  expect(whyRefused({ ...fresh, revoked: true }, 'node-a')).toMatch(/was revoked/);
  expect(whyRefused(undefined, 'node-a')).toMatch(/nobody has made/);
});
