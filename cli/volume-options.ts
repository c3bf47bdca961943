import type { VolumeMount } from '../domain/spec.ts';
import { refuse } from './failures.ts';

/** Reads what was typed, or else what the file says; `undefined` when neither speaks of volumes. */
export function readVolumes(
  typed: readonly string[] | false | undefined,
  fromFile: readonly string[] | undefined,
): readonly VolumeMount[] | undefined {
  if (typed === false) return [];
  return (typed ?? fromFile)?.map(readVolume);
}

/** `NAME:PATH[:ro]`. @throws INVALID_ARGUMENT; what a name or a path may be is for the platform to say. */
function readVolume(text: string): VolumeMount {
  const [volume = '', path = '', option, ...rest] = text.split(':');
  if (/^[./~]/.test(volume)) {
    throw refuse(
      '--volume',
      `"${text}" names a folder`,
      'Name a volume of the project; folders of a node are not mounted.',
    );
  }
  const isKnown = option === undefined || option === 'ro' || option === 'rw';
  if (volume === '' || path === '' || !isKnown || rest.length > 0) {
    throw refuse('--volume', `"${text}" is not name:/path, or name:/path:ro`);
  }
  return { volume, path, readOnly: option === 'ro' };
}
