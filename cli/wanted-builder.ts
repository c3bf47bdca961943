import type { GitBuilder } from '../domain/spec.ts';
import { Builder } from '../gen/obiente/cloud/v1/spec_pb.ts';

const BUILDER: Readonly<Record<GitBuilder, Builder>> = {
  dockerfile: Builder.DOCKERFILE,
  static: Builder.STATIC,
  nixpacks: Builder.NIXPACKS,
};

/** How a repository is to be built, in the contract's words. */
export function wantedBuilder(builder: GitBuilder | undefined): Builder {
  return builder === undefined ? Builder.UNSPECIFIED : BUILDER[builder];
}
