import { describe, expect, it } from 'vitest';
import { parseAppFile } from './app-file.ts';
import { readVolumes } from './volume-options.ts';

describe('volumes', () => {
  it('are read from options, else from the file', () => {
    expect(readVolumes(['data:/var/lib/data', 'conf:/etc/app:ro'], ['x:/x'])).toEqual([
      { volume: 'data', path: '/var/lib/data', readOnly: false },
      { volume: 'conf', path: '/etc/app', readOnly: true },
    ]);
    const { volumes } = parseAppFile('volumes: ["data:/data:rw"]');
    expect(readVolumes(undefined, volumes)).toEqual([{ volume: 'data', path: '/data', readOnly: false }]);
  });

  it('are none with --no-volume, and as they are when nobody speaks of them', () => {
    expect(readVolumes(false, ['x:/x'])).toEqual([]);
    expect(readVolumes(undefined, undefined)).toBeUndefined();
  });

  it.each(['/srv/data:/data', './data:/data', '~/data:/data'])('are no folders of a node: %s', (text) => {
    expect(() => readVolumes([text], undefined)).toThrow(/names a folder/);
  });

  it.each(['data', ':/data', 'data:', 'data:/data:rx', 'data:/data:ro:z'])(
    'are refused in another form: %s',
    (text) => {
      expect(() => readVolumes([text], undefined)).toThrow(/is not name:\/path/);
    },
  );
});
