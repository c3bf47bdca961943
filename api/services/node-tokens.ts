import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import { removeNode } from '../../adapters/postgres/node-admissions.ts';
import {
  createNodeToken,
  listNodeTokens,
  type NodeTokenRecord,
  revokeNodeToken,
} from '../../adapters/postgres/node-tokens.ts';
import type { WorkflowGateway } from '../../adapters/temporal/workflow-gateway.ts';
import { hashJoinToken, makeJoinToken } from '../../adapters/tokens/join-token.ts';
import { invalidArgument } from '../../domain/errors.ts';
import { JOIN_TOKEN_LIFETIME_S } from '../../domain/join-token.ts';
import { type NodesService, type NodeTokenSchema, NodeTokenState } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { getCaller } from '../auth/caller.ts';

/** What join tokens and the removal of nodes need. */
export interface NodeTokensDeps {
  readonly db: Database;
  readonly workflows: Pick<WorkflowGateway, 'nodeRemoved'>;
}

type Methods = 'createNodeToken' | 'listNodeTokens' | 'revokeNodeToken' | 'removeNode';

/** Creates the part of the service of nodes by which they come and go. */
export function createNodeTokens({ db, workflows }: NodeTokensDeps): Pick<ServiceImpl<typeof NodesService>, Methods> {
  return {
    async createNodeToken({ lifetimeS: wanted }, context) {
      const { userId: createdBy } = getCaller(context);
      const lifetimeS = wanted || JOIN_TOKEN_LIFETIME_S.default;
      if (lifetimeS < JOIN_TOKEN_LIFETIME_S.min) {
        throw invalidArgument('lifetime_s', `${lifetimeS} s`, `at least ${JOIN_TOKEN_LIFETIME_S.min} s`);
      }
      const token = makeJoinToken();
      const record = await createNodeToken(db, { id: randomUUID(), hash: hashJoinToken(token), createdBy, lifetimeS });
      return { token, record: toWire(record) };
    },
    async listNodeTokens() {
      return { tokens: (await listNodeTokens(db)).map(toWire) };
    },
    async revokeNodeToken({ tokenId }) {
      return { record: toWire(await revokeNodeToken(db, tokenId)) };
    },
    async removeNode({ nodeId }) {
      await removeNode(db, nodeId);
      await workflows.nodeRemoved(nodeId);
      return {};
    },
  };
}

function toWire(record: NodeTokenRecord): MessageInitShape<typeof NodeTokenSchema> {
  return {
    id: record.id,
    state: stateOf(record),
    createdByUserId: record.createdBy,
    createdAt: timestampFromDate(record.createdAt),
    expiresAt: timestampFromDate(record.expiresAt),
    usedByNodeId: record.usedBy ?? '',
  };
}

function stateOf({ revokedAt, usedBy, expired }: NodeTokenRecord): NodeTokenState {
  if (usedBy !== null) return NodeTokenState.USED;
  if (revokedAt !== null) return NodeTokenState.REVOKED;
  return expired ? NodeTokenState.EXPIRED : NodeTokenState.VALID;
}
