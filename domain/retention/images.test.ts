import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ownedLabels } from '../naming.ts';
import { type ImageRules, type LocalImage, type OwnName, whyImageStays } from './images.ts';

const INSTANCE = 'abcd1234';
const HOUR_MS = 3_600_000;
const LABELS = ownedLabels({ instance: INSTANCE, projectId: 'p', deploymentId: 'd' });

const rules: ImageRules = {
  ...{ instance: INSTANCE, imagesMs: HOUR_MS, baseImagesMs: 24 * HOUR_MS },
  findOwnName: (name) => OWN[name],
};
const OWN: Readonly<Record<string, OwnName>> = {
  'shop:1': { isBase: false },
  'shop@sha256:1': { isBase: false },
  'node:24': { isBase: true },
};

const anImage = (changes: Partial<LocalImage>): LocalImage => ({
  ...{ imageId: 'sha256:i', names: [], labels: {}, hasContainers: false, hasChildren: false, idleMs: 2 * HOUR_MS },
  ...changes,
});
const aBuilt = (changes: Partial<LocalImage> = {}) =>
  anImage({ labels: LABELS, names: [`obiente-${INSTANCE}/d:r1`], ...changes });
const aPulled = (changes: Partial<LocalImage> = {}) => anImage({ names: ['shop:1', 'shop@sha256:1'], ...changes });

describe('an image on a node', () => {
  it.each([
    ['that was built here may go', aBuilt(), null],
    ['whose tag has moved to a newer build may go', aBuilt({ names: [] }), null],
    ['that was pulled may go', aPulled(), null],
    ['that somebody else built or pulled stays', anImage({ names: ['postgres:17'] }), 'not-ours'],
    ['without a name stays', anImage({}), 'not-ours'],
    [
      'of another installation stays',
      anImage({ names: ['obiente-00000000/d:r1'], labels: ownedLabels({ instance: '00000000', projectId: 'p' }) }),
      'not-ours',
    ],
    ['with labels that were forged stays', anImage({ names: ['evil:1'], labels: LABELS }), 'also-named-by-others'],
    ['that was built and tagged by hand stays', aBuilt({ names: ['mine:1'] }), 'also-named-by-others'],
    ['that was pulled and tagged by hand stays', aPulled({ names: ['shop:1', 'mine:1'] }), 'also-named-by-others'],
    ['that a container was made from stays', aPulled({ hasContainers: true }), 'in-use'],
    ['that another image is built on stays', aPulled({ hasChildren: true }), 'in-use'],
    ['that was used within the hour stays', aBuilt({ idleMs: HOUR_MS }), 'recently-used'],
    ['that builds begin with stays for longer', anImage({ names: ['node:24'], idleMs: 24 * HOUR_MS }), 'recently-used'],
    ['that builds began with long ago may go', anImage({ names: ['node:24'], idleMs: 25 * HOUR_MS }), null],
  ])('%s', (_, image, expected) => {
    expect(whyImageStays(image, rules)).toBe(expected);
  });

  it('stays whenever a container uses it, it was just used, or a name of it is not ours', () => {
    const anyImage = fc.record({
      imageId: fc.constant('sha256:i'),
      names: fc.subarray(['shop:1', 'shop@sha256:1', 'node:24', `obiente-${INSTANCE}/d:r1`, 'postgres:17', 'mine:1']),
      labels: fc.constantFrom<Readonly<Record<string, string>>>({}, LABELS, { ...LABELS, extra: 'x' }),
      ...{ hasContainers: fc.boolean(), hasChildren: fc.boolean(), idleMs: fc.nat({ max: 48 * HOUR_MS }) },
    });
    fc.assert(
      fc.property(anyImage, (image) => {
        if (whyImageStays(image, rules) !== null) return;
        expect(image).toMatchObject({ hasContainers: false, hasChildren: false });
        expect(image.idleMs).toBeGreaterThan(rules.imagesMs);
        expect(image.names.filter((name) => name === 'postgres:17' || name === 'mine:1')).toEqual([]);
        expect(image.names.length > 0 || image.labels === LABELS || 'extra' in image.labels).toBe(true);
      }),
    );
  });
});
