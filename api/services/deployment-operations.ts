import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { listRevisions, type RevisionRecord } from '../../adapters/postgres/revisions.ts';
import { ONLY_SERVICE } from '../../domain/spec.ts';
import type { DeploymentsService } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { hashRequest } from '../request-identity.ts';
import { type SubmitDeps, submitOperation, type WireRequest } from '../submit-operation.ts';
import { toWireOperation, toWireRevision } from '../wire/operation.ts';
import { readPage } from '../wire/page.ts';

/** RPCs that change how a deployment runs, and what it was. */
type Operations = Pick<
  ServiceImpl<typeof DeploymentsService>,
  | 'scaleDeployment'
  | 'restartDeployment'
  | 'stopDeployment'
  | 'startDeployment'
  | 'rollbackDeployment'
  | 'moveDeployment'
  | 'listRevisions'
>;

/** Creates the part of the service that asks for operations without a spec. */
export function createDeploymentOperations(deps: SubmitDeps): Operations {
  const hash = (method: string, wire: WireRequest, ...parts: readonly unknown[]): string =>
    hashRequest(method, wire.deploymentId.toLowerCase(), ...parts, wire.reason, wire.supersedeRunning);
  const plain =
    (method: string, kind: 'restart' | 'stop' | 'start') => async (wire: WireRequest, context: HandlerContext) => {
      const requestHash = hash(method, wire);
      const stored = await submitOperation(deps, context, { wire, requestHash, wish: () => ({ kind }) });
      return { operation: toWireOperation(stored) };
    };
  return {
    restartDeployment: plain('RestartDeployment', 'restart'),
    stopDeployment: plain('StopDeployment', 'stop'),
    startDeployment: plain('StartDeployment', 'start'),
    async scaleDeployment(wire, context) {
      const { replicas } = wire;
      const service = wire.service || ONLY_SERVICE;
      const requestHash = hash('ScaleDeployment', wire, service, replicas);
      const wish = () => ({ kind: 'scale', service, replicas }) as const;
      return { operation: toWireOperation(await submitOperation(deps, context, { wire, requestHash, wish })) };
    },
    async moveDeployment(wire, context) {
      const { toNodeId } = wire;
      const requestHash = hash('MoveDeployment', wire, toNodeId);
      const wish = () => ({ kind: 'move', move: { from: null, to: toNodeId, replicas: null, volumes: true } }) as const;
      return { operation: toWireOperation(await submitOperation(deps, context, { wire, requestHash, wish })) };
    },
    async rollbackDeployment(wire, context) {
      const toRevision = wire.toRevision === 0 ? null : wire.toRevision;
      const requestHash = hash('RollbackDeployment', wire, toRevision);
      const wish = () => ({ kind: 'rollback', toRevision }) as const;
      return { operation: toWireOperation(await submitOperation(deps, context, { wire, requestHash, wish })) };
    },
    async listRevisions(request) {
      const deploymentId = request.deploymentId.toLowerCase();
      const { rows, page } = await readPage(request.page, {
        identity: { list: 'revisions', filters: [deploymentId] },
        forms: ['number'],
        keyOf: ({ number }: RevisionRecord) => [String(number)],
        read: ({ limit, after }) => listRevisions(deps.db, { deploymentId, limit, before: after && Number(after[0]) }),
      });
      return { revisions: rows.map(toWireRevision), page };
    },
  };
}
