import type { GitBuilder } from '../../domain/spec.ts';
import { Builder } from '../../gen/obiente/cloud/v1/spec_pb.ts';

const FROM_BUILDER: Record<Builder, GitBuilder | undefined> = {
  [Builder.UNSPECIFIED]: undefined,
  [Builder.DOCKERFILE]: 'dockerfile',
  [Builder.STATIC]: 'static',
  [Builder.NIXPACKS]: 'nixpacks',
};

const TO_BUILDER: Record<GitBuilder, Builder> = {
  dockerfile: Builder.DOCKERFILE,
  static: Builder.STATIC,
  nixpacks: Builder.NIXPACKS,
};

/** How a commit is built, off the wire; `undefined` where that is not said. */
export function fromWireBuilder(builder: Builder): GitBuilder | undefined {
  return FROM_BUILDER[builder];
}

/** How a commit is built, on the wire. */
export function toWireBuilder(builder: GitBuilder | undefined): Builder {
  return builder === undefined ? Builder.UNSPECIFIED : TO_BUILDER[builder];
}
