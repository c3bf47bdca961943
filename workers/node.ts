import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { z } from 'zod';
import type { Docker } from '../adapters/docker/docker.ts';
import type { Log } from '../adapters/logging/log.ts';
import { readKeyring } from '../adapters/sealing/keyring.ts';
import { readSecretFile } from '../adapters/sealing/secret-file.ts';
import { installTemporalLog } from '../adapters/temporal/worker.ts';
import { createControlTokenVerifier } from '../adapters/tokens/control-token.ts';
import { createImageTokenVerifier } from '../adapters/tokens/image-token.ts';
import { createVolumeTokenVerifier } from '../adapters/tokens/volume-token.ts';
import { readEnvironment } from '../config/environment.ts';
import { nodeVariables } from '../config/node.ts';
import { openBuildRegistry } from './node/build-registry.ts';
import { type ControlJwks, openControlJwks } from './node/control-jwks.ts';
import { createDaemonWatch } from './node/daemon-watch.ts';
import { createDiskWatch } from './node/disk-watch.ts';
import { createEnrolment } from './node/enrolment.ts';
import { startNodeGateway } from './node/gateway.ts';
import { openGit } from './node/git.ts';
import { openArrivals } from './node/image-arrival.ts';
import { connectIdentity, type NodeKeys } from './node/keys.ts';
import { observeReplicas } from './node/observe-replicas.ts';
import { openDocker } from './node/open-docker.ts';
import { nodeQueues } from './node/queues.ts';
import { openSnapshotStore } from './node/snapshot-store.ts';
import { keepWorking } from './node/temporal-work.ts';
import type { RunningRole } from './run-role.ts';

type Config = z.infer<typeof nodeVariables>;

/** Past two starts a core only the time of each start grows, not their number a second. */
const STARTS_PER_CORE = 2;

/** A node is ready when it is enrolled and polls; when its control plane is away it goes on trying, started already. */
const READY_WITHIN_MS = 10_000;

/** A loop that hangs in a call to Docker ends with its deadline; a process that stops does not wait for that. */
const LOOPS_END_WITHIN_MS = 1_000;

/** Starts the role `node`: activities on this host's Docker daemon, reports of what runs here, and logs for the API. */
export async function startNode(environment: Record<string, string | undefined>, log: Log): Promise<RunningRole> {
  const config = readEnvironment(nodeVariables, environment);
  const payloadKeys = await readKeyring(config.PAYLOAD_KEY_FILE, 'PAYLOAD_KEY_FILE');
  const joinToken = await readSecretFile(config.NODE_JOIN_TOKEN_FILE, 'NODE_JOIN_TOKEN_FILE');
  const keys = await connectIdentity({ dir: config.NODE_KEY_DIR, controlUrl: config.CONTROL_URL });
  const controlJwks = await openControlJwks(config.NODE_KEY_DIR);
  installTemporalLog(log);

  const docker = await openDocker(config, log);
  const registry = await openBuildRegistry(config);
  const git = await openGit({
    folder: join(config.NODE_KEY_DIR, 'git'),
    rules: { allowedHosts: config.NODE_ALLOWED_GIT_HOSTS },
    caFile: config.NODE_GIT_CA_FILE,
    fetchCredential: keys.openSourceCredential,
  });
  const gateway = await listen({ config, docker, keys, controlJwks, log });
  const stopping = new AbortController();
  const { signal } = stopping;
  const daemon = createDaemonWatch(() => docker.checkHealth());
  const disk = createDiskWatch(docker.measureDisk, { minFreePercent: config.NODE_MIN_FREE_DISK });
  const cores = availableParallelism();
  const startSlot = pLimit(STARTS_PER_CORE * cores);
  const observers = await observeReplicas({ docker, keys, dir: config.NODE_KEY_DIR, startSlot, log });
  const { hub, keeper, monitor, reporter } = observers;
  const snapshots = await openSnapshotStore(config);
  const arrivals = await openArrivals(config.NODE_KEY_DIR, disk);
  const work = keepWorking(
    { address: config.TEMPORAL_ADDRESS, namespace: config.TEMPORAL_NAMESPACE, payloadKeys },
    nodeQueues({
      config,
      keys,
      docker,
      git,
      registry,
      daemon,
      disk,
      ...observers,
      snapshots,
      arrivals,
      cores,
      startSlot,
    }),
    { signal, log },
  );
  const enrolment = createEnrolment({
    control: keys.control,
    introduce: async () => ({
      labels: config.NODE_LABELS,
      ...(await docker.describeHost()),
      ...keys.publicHalf,
      joinToken,
      ...addressesOf(config),
    }),
    docker: () => daemon.current(),
    keepControlJwks: controlJwks.keep,
    log,
  });
  const loops = [
    daemon.run(signal),
    disk.run(signal),
    hub.run(docker.followEvents(signal)),
    keeper.run(signal),
    enrolment.run(signal),
    enrolment.enrolled.then(() => reporter.run(signal)),
  ];
  const ready = Promise.all([work.polling, enrolment.enrolled]);
  await Promise.race([ready, delay(READY_WITHIN_MS, undefined, { ref: false })]);
  return {
    stop: async () => {
      daemon.close();
      stopping.abort(new Error('this node stops'));
      await Promise.all([work.ended, gateway.stop()]);
      monitor.stop();
      await Promise.race([Promise.allSettled(loops), delay(LOOPS_END_WITHIN_MS)]);
      keys.control.close();
    },
  };
}

function listen(of: { config: Config; docker: Docker; keys: NodeKeys; controlJwks: ControlJwks; log: Log }) {
  const { config, docker, keys, controlJwks, log } = of;
  const { nodeId } = keys;
  const verifier = createControlTokenVerifier({ getJwks: controlJwks.current, audience: `node:${nodeId}` });
  const volumeVerifier = createVolumeTokenVerifier({ getJwks: controlJwks.current, nodeId });
  const imageVerifier = createImageTokenVerifier({ getJwks: controlJwks.current, nodeId });
  return startNodeGateway({
    bindAddress: config.BIND_ADDRESS,
    port: config.NODE_GATEWAY_PORT,
    instance: config.OBIENTE_INSTANCE,
    docker,
    verifyToken: (token) => verifier.verify(token),
    verifyImageToken: (token) => imageVerifier.verify(token),
    verifyVolumeToken: (token) => volumeVerifier.verify(token),
    log,
  });
}

function addressesOf(config: Config) {
  const { NODE_ADDRESS: address, NODE_GATEWAY_PORT, STREAMER_GATEWAY_PORT } = config;
  const host = address.includes(':') ? `[${address}]` : address;
  return {
    address,
    gatewayUrl: `http://${host}:${NODE_GATEWAY_PORT}`,
    streamerUrl: `http://${host}:${STREAMER_GATEWAY_PORT}`,
  };
}
