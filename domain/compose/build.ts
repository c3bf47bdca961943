import type { VariableInput } from '../spec.ts';
import type { ComposeSource } from './application.ts';
import { BUILD_KEYS } from './key-rules.ts';
import { environmentOf } from './pairs.ts';
import { type Place, refuse, refuseFound, textOf } from './place.ts';
import { checkLabels } from './platform-owned.ts';
import { innerPathOf } from './quantities.ts';
import { readKeys, type Translation } from './read-keys.ts';

type BuildSource = Extract<ComposeSource, { kind: 'build' }>;

/** Everything that Compose or BuildKit would fetch: URLs, `git@host:path`, `github.com/…`, other builds. */
const REMOTE = /^(?:[a-z][a-z0-9+.-]*:|[^/]*@|github\.com\/)/i;

/**
 * Reads `build`: a context within the folder of the file, and what to build of it.
 *
 * @throws INVALID_ARGUMENT for contexts elsewhere, on the node or on the network, and for every right over the node.
 */
export function buildOf(place: Place, translation: Translation): BuildSource {
  if (typeof place.value === 'string') {
    return { kind: 'build', context: contextOf(place), dockerfile: 'Dockerfile', target: null, args: [] };
  }
  const keys = readKeys(place, BUILD_KEYS, translation);
  if (keys.labels) checkLabels(keys.labels, translation);
  return {
    kind: 'build',
    context: keys.context ? contextOf(keys.context) : '',
    dockerfile: keys.dockerfile ? dockerfileOf(keys.dockerfile) : 'Dockerfile',
    target: keys.target ? targetOf(keys.target) : null,
    args: keys.args ? argsOf(keys.args, translation) : [],
  };
}

function contextOf(place: Place): string {
  const context = textOf(place, 'a folder such as ./web');
  if (REMOTE.test(context)) throw refuse(place, 'a context that is fetched from elsewhere', 'a folder beside the file');
  return innerPathOf(place, context);
}

function dockerfileOf(place: Place): string {
  const path = innerPathOf(place, textOf(place));
  if (path !== '') return path;
  throw refuseFound(place, 'the path of a file within the context');
}

function targetOf(place: Place): string {
  const target = textOf(place);
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(target)) return target;
  throw refuseFound(place, 'the name of a stage: letters, digits, _ . - (128 at most)');
}

function argsOf(place: Place, { variables }: Translation): readonly VariableInput[] {
  return environmentOf(place, variables);
}
