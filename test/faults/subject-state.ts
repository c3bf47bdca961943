import { deploymentWorkflowId } from '../../contracts/deployment.ts';
import { LABEL } from '../../domain/naming.ts';
import { askThroughIngress } from '../support/http.ts';
import type { Lane } from './lane.ts';
import type { Subject } from './subject.ts';

/**
 * Where a deployment stands, looked at behind the platform's back and without what differs from run to run (ids, names,
 * times, ports): two runs of the same operations end in equal states.
 */
export interface SubjectState {
  /** By replica id, what Docker runs: `running sha256:…`. One that exists twice is there as both. */
  readonly containers: Readonly<Record<string, string>>;
  /** By replica id, what is recorded: `healthy, serving, sha256:…`. */
  readonly replicas: Readonly<Record<string, string>>;
  /** Wanted and serving revision; `null` when there is no such deployment. */
  readonly deployment: { readonly revision: number; readonly servingRevision: number } | null;
  readonly revisions: readonly number[];
  /** Oldest first: `update 2 succeeded`. */
  readonly operations: readonly string[];
  readonly hostnames: readonly string[];
  /** State of its workflow, as Temporal has it. */
  readonly workflow: string;
  /** What the ingress answers: status and body. */
  readonly answer: string;
}

/** Looks at a deployment: Docker by labels, the tables, the workflow, and the ingress. */
export async function observeSubject(lane: Lane, subject: Subject): Promise<SubjectState> {
  const [containers, rows, workflow, answer] = await Promise.all([
    observeContainers(lane, subject),
    observeRows(lane, subject),
    observeWorkflow(lane, subject),
    askThroughIngress(lane.platform.httpPort, `${subject.name}.localhost`),
  ]);
  return { containers, ...rows, workflow, answer: `${answer.status} ${answer.body.trim()}` };
}

async function observeContainers({ docker }: Lane, { id }: Subject): Promise<Record<string, string>> {
  const filters = { label: [`${LABEL.deploymentId}=${id}`] };
  const found = await docker.listContainers({ all: true, filters });
  const byReplica = Map.groupBy(found, ({ Labels }) => Labels[LABEL.replica] ?? '');
  return Object.fromEntries(
    [...byReplica]
      .map(([replica, copies]) => [replica, copies.map(({ State, ImageID }) => `${State} ${ImageID}`).join(' and ')])
      .sort(),
  );
}

async function observeRows({ platform: { db } }: Lane, { id, name }: Subject) {
  const [replicas, deployment, revisions, operations, routes] = await Promise.all([
    db.selectFrom('replicas').selectAll().where('deployment_id', '=', id).orderBy('replica_id').execute(),
    db.selectFrom('deployments').selectAll().where('id', '=', id).executeTakeFirst(),
    db.selectFrom('revisions').select('number').where('deployment_id', '=', id).orderBy('number').execute(),
    db.selectFrom('operations').selectAll().where('deployment_id', '=', id).orderBy('sequence').execute(),
    db.selectFrom('routes').select('hostname').where('deployment_id', '=', id).orderBy('hostname').execute(),
  ]);
  return {
    replicas: Object.fromEntries(
      replicas.map(({ replica_id, state, serving, image_digest }) => [
        replica_id,
        `${state}, ${serving ? 'serving' : 'not serving'}, ${image_digest}`,
      ]),
    ),
    deployment: deployment ? { revision: deployment.revision, servingRevision: deployment.serving_revision } : null,
    revisions: revisions.map(({ number }) => number),
    operations: operations.map(({ kind, revision, state, error_code }) =>
      [kind, revision, state, error_code ?? ''].join(' ').trim(),
    ),
    hostnames: routes.map(({ hostname }) => hostname.replace(name, '<name>')),
  };
}

async function observeWorkflow({ platform: { temporal } }: Lane, { id }: Subject): Promise<string> {
  const { status } = await temporal.workflow.getHandle(deploymentWorkflowId(id)).describe();
  return status.name;
}

/** What differs from what is wanted, in words; empty when all of that is as it should be. */
export function differencesOf<View extends object>(found: View, wanted: Partial<View>): string[] {
  const parts = Object.keys(wanted) as (keyof View & string)[];
  return parts.flatMap((part) => {
    const [is, shouldBe] = [JSON.stringify(found[part]), JSON.stringify(wanted[part])];
    return is === shouldBe ? [] : [`${part} is ${is}, should be ${shouldBe}`];
  });
}
