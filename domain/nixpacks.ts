import { DomainError } from './errors.ts';

/** Folder of the files that nixpacks writes, below the one that it is told to write to; all of its own in a context. */
export const NIXPACKS_FOLDER = '.nixpacks';

/** The Dockerfile that it writes. */
export const NIXPACKS_DOCKERFILE = `${NIXPACKS_FOLDER}/Dockerfile`;

/** Variable that names a file with its settings: it reads whatever the path leads to. */
const CONFIG_FILE = 'NIXPACKS_CONFIG_FILE';

/** Variables of one plan. They are arguments of a program and of a build, so there is an end to them. */
const MAX_VARIABLES = 1000;

/** What counts here of a plan that nixpacks makes: the rest is for nixpacks itself. */
export interface NixpacksPlan {
  readonly variables?: Readonly<Record<string, string>> | null | undefined;
  /** By name, which is a path. */
  readonly staticAssets?: Readonly<Record<string, unknown>> | null | undefined;
  readonly phases?:
    | Readonly<Record<string, { readonly nixpkgsArchive?: string | null | undefined }>>
    | null
    | undefined;
}

/**
 * Checks the plan that nixpacks made of a source, and says which variables its Dockerfile is built with.
 *
 * Names of a plan come from the source and become paths below the folder that nixpacks writes to; so it is asked for its
 * plan first, which writes nothing.
 *
 * @throws SOURCE_REFUSED for a name that leaves that folder, and for variables that are none.
 */
export function checkPlan({ variables, staticAssets, phases }: NixpacksPlan): Readonly<Record<string, string>> {
  const asset = Object.keys(staticAssets ?? {}).find((name) => !isInner(name));
  if (asset !== undefined) throw leaves('static asset', asset);
  const archives = Object.values(phases ?? {}).map(({ nixpkgsArchive }) => nixpkgsArchive ?? 'none');
  const archive = archives.find((name) => !/^[\w-][\w.-]{0,127}$/.test(name));
  if (archive !== undefined) throw leaves('archive of packages', archive);
  const names = Object.keys(variables ?? {});
  const wrong = names.find((name) => !/^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(name));
  if (wrong !== undefined) throw refused(`it names a variable ${shown(wrong)}`);
  if (names.length > MAX_VARIABLES) throw refused(`it names more than ${MAX_VARIABLES} variables`);
  return variables ?? {};
}

/** Checks the variables that nixpacks is given. @throws SOURCE_REFUSED for settings that lie outside of the source. */
export function checkVariables(variables: Readonly<Record<string, string>>): void {
  const file = variables[CONFIG_FILE];
  if (file !== undefined && !isInner(file)) throw leaves(CONFIG_FILE, file);
}

/** What is said where nixpacks is needed and no node has it. */
export function nobodyHasNixpacks(what: string): DomainError {
  return new DomainError('SOURCE_REFUSED', `cannot build ${what}: nixpacks has to, and no node has it`, {
    hint: 'Add a Dockerfile; or let whoever runs the platform install nixpacks on a node, see docs/builds.md.',
  });
}

function isInner(path: string): boolean {
  const names = path.split('/');
  return path.length <= 255 && !path.includes('\0') && names.every((name) => !['', '.', '..'].includes(name));
}

function leaves(what: string, path: string): DomainError {
  return refused(`its ${what} ${shown(path)} leaves it`);
}

function refused(finding: string): DomainError {
  return new DomainError('SOURCE_REFUSED', `the source cannot be built: ${finding}`, {
    hint: 'Mend nixpacks.toml, or add a Dockerfile.',
  });
}

function shown(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}
