import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import { findDeployment, listDeployments } from '../../adapters/postgres/deployments.ts';
import { DomainError, invalidArgument, notFound } from '../../domain/errors.ts';
import type { DeploymentsService, UpdateDeploymentRequest } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { getCallerOrganization } from '../auth/caller.ts';
import { deriveId, hashRequest } from '../request-identity.ts';
import { findRepeated, identityOf, type SubmitDeps, submitOperation } from '../submit-operation.ts';
import { isPartial, readChange, toHashableChange, toStoredChange } from '../wanted-change.ts';
import { readSpec, toHashable, toStoredSpec, type WantedSpecDeps } from '../wanted-spec.ts';
import { watchDeployment } from '../watch-deployment.ts';
import type { PublicAddress } from '../wire/address.ts';
import { toWireDeployment } from '../wire/deployment.ts';
import { toWireOperation } from '../wire/operation.ts';
import { CREATED_FORMS, createdCursor, createdKey, readPage } from '../wire/page.ts';
import { createDeploymentOperations } from './deployment-operations.ts';

/** What the service of deployments needs. */
export interface DeploymentsDeps extends WantedSpecDeps, SubmitDeps {
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
    ...createDeploymentOperations(deps),
    async createDeployment({ idempotencyKey, projectId: project, name, spec: wire, reason }, context) {
      const organizationId = getCallerOrganization(context);
      const projectId = project.toLowerCase();
      const spec = readSpec(deps, wire);
      const hashable = await toHashable(deps, organizationId, spec);
      const requestHash = hashRequest('CreateDeployment', projectId, name, hashable, reason);
      const deploymentId = deriveId(organizationId, idempotencyKey, 'deployment');
      if (!(await findRepeated(deps, { organizationId, idempotencyKey, requestHash }))) {
        const stored = await toStoredSpec(deps, { organizationId, deploymentId, spec, present: null });
        const identity = { ...identityOf(context, { idempotencyKey, reason }), requestHash };
        const request = { kind: 'deploy', ...identity, createAs: name, spec: stored } as const;
        await workflows.submit({ deploymentId, organizationId, projectId, request });
      }
      return await answer(deploymentId);
    },
    async updateDeployment(request, context) {
      await (isPartial(request) ? change(deps, request, context) : replace(deps, request, context));
      return await answer(request.deploymentId.toLowerCase());
    },
    async deleteDeployment(wire, context) {
      const requestHash = hashRequest('DeleteDeployment', wire.deploymentId.toLowerCase(), wire.reason);
      const wish = () => ({ kind: 'remove' }) as const;
      return { operation: toWireOperation(await submitOperation(deps, context, { wire, requestHash, wish })) };
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

/** Replaces the whole spec. */
async function replace(deps: DeploymentsDeps, wire: UpdateDeploymentRequest, context: HandlerContext): Promise<void> {
  const organizationId = getCallerOrganization(context);
  const deploymentId = wire.deploymentId.toLowerCase();
  if (!wire.spec) throw invalidArgument('spec', 'is not set', 'a spec, or a change of variables');
  const spec = readSpec(deps, wire.spec);
  const hashable = await toHashable(deps, organizationId, spec);
  const requestHash = hashRequest('UpdateDeployment', deploymentId, hashable, wire.reason, wire.supersedeRunning);
  const wish = async () => {
    const current = await findDeployment(deps.db, deploymentId);
    if (!current) throw notFound('deployment');
    const stored = await toStoredSpec(deps, { organizationId, deploymentId, spec, present: current.spec });
    return { kind: 'deploy', createAs: null, spec: stored } as const;
  };
  await submitOperation(deps, context, { wire, requestHash, wish });
}

/** Changes a part of the spec, whatever the rest of it is by then. */
async function change(deps: DeploymentsDeps, wire: UpdateDeploymentRequest, context: HandlerContext): Promise<void> {
  const organizationId = getCallerOrganization(context);
  const input = readChange(deps, wire);
  const hashable = await toHashableChange(deps, organizationId, input);
  const { reason, supersedeRunning } = wire;
  const deploymentId = wire.deploymentId.toLowerCase();
  const requestHash = hashRequest('UpdateDeployment', deploymentId, 'change', hashable, reason, supersedeRunning);
  const place = { organizationId, deploymentId };
  const wish = async () => ({ kind: 'update', change: await toStoredChange(deps, place, input) }) as const;
  await submitOperation(deps, context, { wire, requestHash, wish });
}

function deleted(): DomainError {
  return new DomainError('DEPLOYMENT_DELETED', 'the deployment of this request has been deleted since', {
    hint: 'Use a new idempotency key to create another one.',
  });
}
