/** One line of production code made wrong on purpose, and the test that must notice. */
export interface Mutant {
  /** What no longer happens. */
  readonly name: string;
  readonly file: string;
  /** Exact text, which occurs once in the file. */
  readonly text: string;
  readonly replacement: string;
  /** The project and file of the test, and a part of its name; without one the whole file. */
  readonly test: { readonly project: 'fast' | 'servers'; readonly file: string; readonly name?: string };
}

const store = 'adapters/postgres/deployment-store.test.ts';
const workflow = 'test/workflows/deployment.test.ts';
const operations = 'test/workflows/operations.test.ts';
const node = 'activities/node-activities.test.ts';
const docker = 'test/node/docker-faults.test.ts';

/** What reliability stands on, each taken away alone. A mutant that no test notices is a hole in the tests. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a repeated request is stored again',
    file: 'adapters/postgres/store-operation.ts',
    text: '    if (repeated) return repeated;\n',
    replacement: '',
    test: { project: 'servers', file: store, name: 'has one effect when the same request comes fifty times at once' },
  },
  {
    name: 'the API does not look an idempotency key up',
    file: 'api/submit-operation.ts',
    text: '  if (repeated) return repeated;\n',
    replacement: '',
    test: { project: 'servers', file: 'api/services/deployments.test.ts', name: 'that a repeated call finds' },
  },
  {
    name: 'nobody is told again of what an API stored before it died',
    file: 'workers/api/tell-untaken.ts',
    text: '  await Promise.all(places.map((place) => workflows.tellStored(place).catch(untold)));\n',
    replacement: '',
    test: { project: 'servers', file: 'workers/api/tell-untaken.test.ts', name: 'not told' },
  },
  {
    name: 'a workflow puts in line what it has in line',
    file: 'workflows/deployment.ts',
    text: 'operations.filter(({ operationId }) => !isKnown(entity, operationId))',
    replacement: 'operations.slice()',
    test: { project: 'servers', file: workflow, name: 'what it is told of again and again' },
  },
  {
    name: 'an operation that is being superseded comes back as the newest',
    file: 'workflows/deployment.ts',
    text: '  if (entity.superseding.has(operationId)) return true;\n',
    replacement: '',
    test: { project: 'servers', file: workflow, name: 'keeps the newest in line' },
  },
  {
    name: 'the scale of one service supersedes that of another',
    file: 'domain/operation.ts',
    text: ' && part === newcomer.part',
    replacement: '',
    test: { project: 'fast', file: 'domain/operation.test.ts', name: 'only what sets the same part' },
  },
  {
    name: 'a container that exists already is not adopted',
    file: 'adapters/docker/containers.ts',
    text: 'if (statusOf(error) === 409) return undefined;',
    replacement: '',
    test: { project: 'servers', file: docker, name: 'the container was created' },
  },
  {
    name: 'a time-out of Docker is taken for "it did not happen": the next attempt uses a name of its own',
    file: 'activities/plan-container.ts',
    text: '    name: containerName(replica),',
    replacement: '    name: `$' + '{containerName(replica)}-$' + '{Date.now()}`,',
    test: { project: 'servers', file: docker, name: 'never makes a second replica' },
  },
  {
    name: 'a time-out of Docker is taken for the final answer',
    file: 'domain/errors.ts',
    text: 'DOCKER_UNAVAILABLE: true,',
    replacement: 'DOCKER_UNAVAILABLE: false,',
    test: { project: 'servers', file: docker, name: 'it was started' },
  },
  {
    name: 'what was created without an answer is not looked for after a cancel',
    file: 'activities/ensure-replica.ts',
    text: 'if (found?.labels[LABEL.deploymentId] !== deploymentId) return;',
    replacement: 'if (found?.status !== "running") return;',
    test: { project: 'servers', file: node, name: 'removes what a create made whose answer it never got' },
  },
  {
    name: 'the health gate is skipped',
    file: 'activities/await-healthy.ts',
    text: "if (verdict.kind === 'healthy') return container;",
    replacement: "if (verdict.kind !== 'unhealthy') return container;",
    test: { project: 'servers', file: node, name: 'because it never listens' },
  },
  {
    name: 'success is not seen at the ingress',
    file: 'workflows/converge.ts',
    text: 'if (generation !== null) await atIngress(timing).awaitIngress({ generation, timeoutMs: timing.ingressMs });',
    replacement: 'void [atIngress, timing];',
    test: { project: 'servers', file: workflow, name: 'is done once the ingress serves them' },
  },
  {
    name: 'what failed is not taken back',
    file: 'workflows/roll-out.ts',
    text: "      await goBack(run, rollout, failure.code === 'CANCELLED');\n",
    replacement: '      void [goBack, rollout];\n',
    test: { project: 'servers', file: workflow, name: 'leaves nothing of it' },
  },
  {
    name: 'what an operation drained is not put back into the routes',
    file: 'workflows/converge.ts',
    text: 'resume: serving.flatMap(({ replicaId, started }) => (started ? [] : [replicaId])),',
    replacement: 'resume: [],',
    test: { project: 'servers', file: workflow, name: 'routes back to the old revision' },
  },
  {
    name: 'a removal waits for the rollout under way',
    file: 'workflows/deployment.ts',
    text: "if (operation.kind === 'remove' || supersedeRunning)",
    replacement: 'if (supersedeRunning)',
    test: { project: 'servers', file: workflow, name: 'cancels a rollout for a removal' },
  },
  {
    name: 'a cancel is recorded and not heard',
    file: 'workflows/deployment.ts',
    text: 'if (entity.current?.operationId === operationId) entity.words.hear(control);',
    replacement: 'if (entity.current?.operationId === operationId) return;',
    test: { project: 'servers', file: operations, name: 'cancels what is under way' },
  },
  {
    name: 'a cancelled operation that waits stays in line',
    file: 'workflows/deployment.ts',
    text: 'entity.pending = entity.pending.filter((operation) => operation.operationId !== operationId);',
    replacement: 'void operationId;',
    test: { project: 'servers', file: operations, name: 'cancels what waits in line' },
  },
  {
    name: 'old replicas go although the new ones died',
    file: 'workflows/converge.ts',
    text: "if (removals.some(({ phase }) => phase === 'drained')) await checkReplacements(rollout);",
    replacement: 'void checkReplacements;',
    test: { project: 'servers', file: operations, name: 'goes back when what it started died' },
  },
  {
    name: 'a report from before a replica was found healthy takes its health away',
    file: 'adapters/postgres/replica-reports.ts',
    text: '= isOldNews(row, seen) ? row : {',
    replacement: '= {',
    test: { project: 'servers', file: 'adapters/postgres/replica-reports.test.ts', name: 'is old news' },
  },
  {
    name: 'a new revision finds services of the old one',
    file: 'activities/plan-container.ts',
    text: 'return { names: { own: cohortName(service, number), lookUp } };',
    replacement: 'return { names: { own: cohortName(service, number), lookUp: {} } };',
    test: { project: 'servers', file: node, name: 'finds the services of its cohort' },
  },
  {
    name: 'requests reach a new revision without the word of a person',
    file: 'workflows/converge.ts',
    text: '  await passGate(rollout, step.gate);\n',
    replacement: '  void passGate;\n',
    test: { project: 'servers', file: operations, name: 'approves before requests reach' },
  },
  {
    name: 'a change of a part forgets a scale that is still to come',
    file: 'adapters/postgres/store-revision.ts',
    text: 'if (operation.scale_service !== null)',
    replacement: 'if (operation.scale_service === null)',
    test: { project: 'servers', file: 'api/services/operations.test.ts', name: 'is still to make' },
  },
  {
    name: 'writes of a workflow run side by side',
    file: 'workflows/one-at-a-time.ts',
    text: 'calledBefore = call.catch(() => undefined);',
    replacement: 'call.catch(() => undefined);',
    test: { project: 'servers', file: 'test/workflows/requests-at-once.test.ts' },
  },
  {
    name: 'messages of failures reach Temporal in the clear',
    file: 'adapters/temporal/failure-converter.ts',
    text: 'encodeCommonAttributes: true',
    replacement: 'encodeCommonAttributes: false',
    test: { project: 'servers', file: 'test/workflows/encryption.test.ts' },
  },
  {
    name: 'payloads reach Temporal in the clear',
    file: 'adapters/temporal/payload-codec.ts',
    text: 'encode: async (payloads) => payloads.map((payload) => seal(keys.present, payload)),',
    replacement: 'encode: async (payloads) => payloads,',
    test: { project: 'servers', file: 'test/workflows/encryption.test.ts' },
  },
  {
    name: 'two rollouts may reserve the same memory',
    file: 'adapters/postgres/placement/reserve-replicas.ts',
    text: 'await sql`SELECT pg_advisory_xact_lock($' + '{PLACEMENT_LOCK})`.execute(tx);',
    replacement: 'void PLACEMENT_LOCK;',
    test: { project: 'servers', file: store, name: 'never promises the same memory' },
  },
  {
    name: 'a switch of routes that runs twice is told twice',
    file: 'adapters/postgres/switch-routes.ts',
    text: '      AND NOT (replicas.serving AND replicas.container_id = started.container_id)\n',
    replacement: '',
    test: { project: 'servers', file: store, name: 'although every step runs twice' },
  },
  {
    name: 'a revision can be pinned to another image',
    file: 'adapters/postgres/revision-images.ts',
    text: "['deployment_id', 'revision', 'service']).doNothing())",
    replacement:
      "['deployment_id', 'revision', 'service']).doUpdateSet((row) => ({ image_digest: row.ref('excluded.image_digest') })))",
    test: { project: 'servers', file: store, name: 'pins its revision once' },
  },
  {
    name: 'a container that is not listed counts as gone',
    file: 'workers/node/replica-reporter.ts',
    text: 'const isGone = (await ports.isDaemonHealthy()) && (await ports.findContainer(id)) === undefined;',
    replacement: 'const isGone = true;',
    test: { project: 'servers', file: 'test/node/replica-reporter.test.ts', name: 'a daemon that is not well' },
  },
  {
    name: 'the ingress goes back to older routes',
    file: 'api/http/ingress-feed.ts',
    text: 'if (isFromDatabase && snapshot.generation < served) {',
    replacement: 'if (isFromDatabase && snapshot.generation < 0) {',
    test: { project: 'servers', file: 'test/ingress/traefik-config.test.ts', name: 'never goes back' },
  },
  {
    name: "somebody else's container is removed",
    file: 'activities/remove-replica.ts',
    text: 'if (found.labels[LABEL.instance] !== instance || found.labels[LABEL.deploymentId] !== deploymentId) {',
    replacement: 'if (found.labels[LABEL.instance] === null) {',
    test: { project: 'servers', file: node, name: 'belongs to somebody else' },
  },
  {
    name: 'a lease is counted from when it was granted, and to its very end',
    file: 'domain/node-lease.ts',
    text: 'event.sentAtMs + event.leaseMs - LEASE_TIMING.marginMs',
    replacement: 'event.sentAtMs + event.leaseMs + LEASE_TIMING.marginMs',
    test: { project: 'fast', file: 'domain/node-lease.test.ts', name: 'never may change something at the same time' },
  },
  {
    name: 'what is sent to a daemon does not ask for the lease',
    file: 'adapters/docker/connection.ts',
    text: '    if (!HARMLESS.has(request.method)) this.#beforeChange();\n',
    replacement: '',
    test: { project: 'servers', file: 'adapters/docker/before-change.test.ts' },
  },
  {
    name: 'a process takes a lease that another one has',
    file: 'adapters/postgres/nodes.ts',
    text: '          .where(mayTake(node)),\n',
    replacement: '          ,\n',
    test: { project: 'servers', file: 'adapters/postgres/node-leases.test.ts', name: 'only when it has ended' },
  },
  {
    name: 'a process is heard under an older epoch of its node',
    file: 'adapters/postgres/node-leases.ts',
    text: 'nodes.epoch = $' + '{epoch} AND (',
    replacement: '(',
    test: { project: 'servers', file: 'api/services/services.test.ts', name: 'hears no other one' },
  },
  {
    name: 'a join token is good for many hosts',
    file: 'domain/join-token.ts',
    text: 'token.usedBy !== null && token.usedBy !== nodeId',
    replacement: 'token.usedBy === nodeId.slice(1)',
    test: { project: 'servers', file: 'api/services/node-tokens.test.ts', name: 'lets one host join' },
  },
];
