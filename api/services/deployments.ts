import type { ServiceImpl } from '@connectrpc/connect';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { findDeployment, listDeployments } from '../../adapters/postgres/deployments.ts';
import { idempotencyConflict } from '../../adapters/postgres/mutation-keys.ts';
import { findOperation, findOperationByKey, type OperationRecord } from '../../adapters/postgres/operations.ts';
import type { WorkflowGateway } from '../../adapters/temporal/workflow-gateway.ts';
import { DomainError, notFound } from '../../domain/errors.ts';
import type { DeploymentsService } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { getCaller, getCallerOrganization } from '../auth/caller.ts';
import { deriveId, hashRequest } from '../request-identity.ts';
import { readSpec, toHashable, toStoredSpec, type WantedSpecDeps } from '../wanted-spec.ts';
import { watchDeployment } from '../watch-deployment.ts';
import type { PublicAddress } from '../wire/address.ts';
import { toWireDeployment, toWireOperation } from '../wire/deployment.ts';
import { CREATED_FORMS, createdCursor, createdKey, readPage } from '../wire/page.ts';

/** What the service of deployments needs. */
export interface DeploymentsDeps extends WantedSpecDeps {
  readonly workflows: Pick<WorkflowGateway, 'deploy' | 'remove'>;
  readonly changes: ChangeFeed;
  readonly address: PublicAddress;
  /** Silence after which a stream sends a heartbeat, milliseconds. */
  readonly heartbeatMs: number;
  readonly now: () => Date;
}

/**
 * Creates the service of deployments. It writes nothing: every change is an Update of the deployment's workflow, and
 * answers are read from the database.
 */
export function createDeploymentsService(deps: DeploymentsDeps): ServiceImpl<typeof DeploymentsService> {
  const { db, workflows, address, now } = deps;
  const answer = async (deploymentId: string) => {
    const deployment = await findDeployment(db, deploymentId);
    if (!deployment) throw deleted();
    return { deployment: toWireDeployment(deployment, address, now()) };
  };
  return {
    async createDeployment({ idempotencyKey, projectId: project, name, spec: wire }, context) {
      const organizationId = getCallerOrganization(context);
      const projectId = project.toLowerCase();
      const spec = readSpec(deps, wire);
      const hashable = await toHashable(deps, organizationId, spec);
      const requestHash = hashRequest('CreateDeployment', projectId, name, hashable);
      const deploymentId = deriveId(organizationId, idempotencyKey, 'deployment');
      if (!(await findRepeated(db, { organizationId, idempotencyKey, requestHash }))) {
        const stored = await toStoredSpec(deps, { organizationId, spec, kept: [] });
        const operation = operationOf(organizationId, idempotencyKey, getCaller(context).userId);
        const request = { ...operation, requestHash, createAs: name, spec: stored };
        await workflows.deploy({ deploymentId, organizationId, projectId, request });
      }
      return await answer(deploymentId);
    },
    async updateDeployment({ idempotencyKey, deploymentId: id, spec: wire }, context) {
      const organizationId = getCallerOrganization(context);
      const deploymentId = id.toLowerCase();
      const spec = readSpec(deps, wire);
      const hashable = await toHashable(deps, organizationId, spec);
      const requestHash = hashRequest('UpdateDeployment', deploymentId, hashable);
      if (!(await findRepeated(db, { organizationId, idempotencyKey, requestHash }))) {
        const current = await findDeployment(db, deploymentId);
        if (!current) throw notFound('deployment');
        const stored = await toStoredSpec(deps, { organizationId, spec, kept: current.spec.environment });
        const operation = operationOf(organizationId, idempotencyKey, getCaller(context).userId);
        const request = { ...operation, requestHash, createAs: null, spec: stored };
        await workflows.deploy({ deploymentId, organizationId, projectId: current.projectId, request });
      }
      return await answer(deploymentId);
    },
    async deleteDeployment({ idempotencyKey, deploymentId: id }, context) {
      const organizationId = getCallerOrganization(context);
      const deploymentId = id.toLowerCase();
      const requestHash = hashRequest('DeleteDeployment', deploymentId);
      const repeated = await findRepeated(db, { organizationId, idempotencyKey, requestHash });
      if (repeated) return { operation: toWireOperation(repeated) };
      const current = await findDeployment(db, deploymentId);
      if (!current) throw notFound('deployment');
      const operation = operationOf(organizationId, idempotencyKey, getCaller(context).userId);
      const place = { deploymentId, organizationId, projectId: current.projectId };
      const { operationId } = await workflows.remove({ ...place, request: { ...operation, requestHash } });
      const stored = await findOperation(db, operationId);
      if (!stored) throw new DomainError('INTERNAL', 'an accepted operation is not stored');
      return { operation: toWireOperation(stored) };
    },
    async getDeployment({ deploymentId }) {
      const deployment = await findDeployment(db, deploymentId.toLowerCase());
      if (!deployment) throw notFound('deployment');
      return { deployment: toWireDeployment(deployment, address, now()) };
    },
    async listDeployments(request, context) {
      const organizationId = getCallerOrganization(context);
      const projectId = request.projectId.toLowerCase();
      const { rows, page } = await readPage(request.page, {
        identity: { list: 'deployments', filters: [organizationId, projectId, request.name] },
        forms: CREATED_FORMS,
        keyOf: createdKey,
        read: ({ limit, after }) =>
          listDeployments(db, {
            organizationId,
            projectId: projectId || undefined,
            name: request.name || undefined,
            limit,
            after: createdCursor(after),
          }),
      });
      return { deployments: rows.map((row) => toWireDeployment(row, address, now())), page };
    },
    watchDeployment(request, { signal }) {
      const afterSequence = Math.min(Number(request.afterSequence), Number.MAX_SAFE_INTEGER);
      return watchDeployment({ ...deps, signal }, { deploymentId: request.deploymentId.toLowerCase(), afterSequence });
    },
  };
}

/** What all attempts of one request have in common. */
function operationOf(organizationId: string, idempotencyKey: string, actorUserId: string) {
  return { operationId: deriveId(organizationId, idempotencyKey, 'operation'), idempotencyKey, actorUserId };
}

/**
 * Finds the operation of an earlier attempt. Asked before anything else is looked at, because what was accepted must be
 * answered alike although the world has moved on: names taken, variables gone, nodes lost.
 *
 * @throws IDEMPOTENCY_CONFLICT when the key was used for something else.
 */
async function findRepeated(
  db: Database,
  { requestHash, ...key }: { organizationId: string; idempotencyKey: string; requestHash: string },
): Promise<OperationRecord | undefined> {
  const operation = await findOperationByKey(db, key);
  if (operation && operation.requestHash !== requestHash) throw idempotencyConflict(key.idempotencyKey);
  return operation;
}

function deleted(): DomainError {
  return new DomainError('DEPLOYMENT_DELETED', 'the deployment of this request has been deleted since', {
    hint: 'Use a new idempotency key to create another one.',
  });
}
