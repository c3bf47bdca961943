import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * What stands in for nixpacks, and what it promises: nothing of a real one but the way in which it is called and answers,
 * as version 1.41.0 does.
 *
 * - `--version` says `nixpacks <version>`.
 * - `plan <source> --format json [--env <name>=<value>]…` prints a plan, with these variables and its own.
 * - `build <source> --out <folder> --no-cache [--env …]…` writes `.nixpacks/` there and nothing else: a Dockerfile, and
 *   `build.sh` with the values of variables. It ends with code 1 when it finds nothing that it knows.
 * - The Dockerfile is of the image that `buildImage` in `nixpacks.toml` names, takes the plan's variables as arguments,
 *   and copies the source to `/app`.
 *
 * Beyond that it obeys a source: `plan.json` is its plan, and it runs `taken-over.sh` as a program would that a hostile
 * source has got hold of.
 */
const STAND_IN = String.raw`#!/bin/sh
set -e
if [ "$1" = --version ]; then echo 'nixpacks 1.99.0'; exit; fi
what=$1 source=$2 out=$4
variables='"CI":"true"' names=CI
shift 4
for word; do
  case $word in
    *=*) variables="$variables,\"\${word%%=*}\":\"\${word#*=}\"" names="$names \${word%%=*}" ;;
  esac
done
if [ -e "$source/taken-over.sh" ]; then . "$source/taken-over.sh"; fi
if [ $what = plan ]; then
  if [ -e "$source/plan.json" ]; then cat "$source/plan.json"; else echo "{\"variables\":{$variables},\"phases\":{\"build\":{}}}"; fi
  exit
fi
if [ ! -e "$source/nixpacks.toml" ]; then echo 'unable to generate a build plan'; exit 1; fi
image=$(sed -n 's/^buildImage *= *"\(.*\)"$/\1/p' "$source/nixpacks.toml")
mkdir -p "$out/.nixpacks"
echo "docker build --build-arg $variables" >"$out/.nixpacks/build.sh"
{
  echo "FROM $image"
  echo 'WORKDIR /app/'
  echo "ARG $names"
  echo 'COPY . /app/.'
  echo 'RUN  echo built for $GREETING > built.txt'
  echo 'CMD ["cat built.txt"]'
} >"$out/.nixpacks/Dockerfile"
echo 'Saved output'
`;

/** A program where everybody of this machine may run it. */
export interface TestNixpacks {
  readonly path: string;
  remove(): Promise<void>;
}

/** Opens the stand-in. */
export async function openStandIn(): Promise<TestNixpacks> {
  return await writeProgram(STAND_IN.replaceAll('\\$', '$'));
}

/** Opens the stand-in; or the real one, where `TEST_NIXPACKS` says where that is. */
export async function openTestNixpacks(): Promise<TestNixpacks> {
  const { TEST_NIXPACKS: path } = process.env;
  return path === undefined ? await openStandIn() : { path, remove: async () => {} };
}

/** Writes a program that everybody may run. */
export async function writeProgram(text: string): Promise<TestNixpacks> {
  const folder = await mkdtemp(join(tmpdir(), 'obiente-test-nixpacks-'));
  await chmod(folder, 0o755);
  await mkdir(join(folder, 'bin'));
  const path = join(folder, 'bin', 'nixpacks');
  await writeFile(path, text, { mode: 0o755 });
  await chmod(path, 0o755);
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}
