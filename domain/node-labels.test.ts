import { describe, expect, it } from 'vitest';
import { parseNodeLabels } from './node-labels.ts';

describe('labels of a node', () => {
  it('are pairs between commas', () => {
    expect(parseNodeLabels('')).toEqual({});
    expect(parseNodeLabels('region=eu-central, disk=ssd,example.com/owner=team-1')).toEqual({
      ...{ region: 'eu-central', disk: 'ssd', 'example.com/owner': 'team-1' },
    });
  });

  it.each([
    ['a word alone', 'region', /found "region"/],
    ['no value', 'region=', /found "region="/],
    ['two values', 'region=a=b', /found/],
    ['capitals', 'Region=eu', /found/],
    ['a name twice', 'region=eu,region=us', /region stands twice/],
    ['a hyphen at the end', 'region=eu-', /found/],
    ['a long value', `region=${'a'.repeat(64)}`, /found/],
    ['a name of every object', '__proto__=x', /found/],
    ['too many', Array.from({ length: 33 }, (_, index) => `l${index}=1`).join(','), /found 33/],
  ])('are refused with %s', (_, text, words) => {
    expect(() => parseNodeLabels(text)).toThrow(words);
  });
});
