import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { z } from 'zod';
import type { Log } from '../adapters/logging/log.ts';
import { readKeyring } from '../adapters/sealing/keyring.ts';
import { readSecretFile } from '../adapters/sealing/secret-file.ts';
import { installTemporalLog } from '../adapters/temporal/worker.ts';
import { readEnvironment } from '../config/environment.ts';
import { nodeVariables } from '../config/node.ts';
import about from '../package.json' with { type: 'json' };
import { openBuildRegistry } from './node/build-registry.ts';
import { openControlJwks } from './node/control-jwks.ts';
import { createDaemonWatch } from './node/daemon-watch.ts';
import { createDiskWatch } from './node/disk-watch.ts';
import { createEnrolment } from './node/enrolment.ts';
import { openGit } from './node/git.ts';
import { openArrivals } from './node/image-arrival.ts';
import { connectIdentity } from './node/keys.ts';
import { createNodeLease } from './node/lease.ts';
import { createLeaseHolding } from './node/lease-holder.ts';
import { whileLeased } from './node/leased-daemon.ts';
import { listenForGateway } from './node/listen-for-gateway.ts';
import { openNodeNixpacks } from './node/nixpacks.ts';
import { observeReplicas } from './node/observe-replicas.ts';
import { openDocker } from './node/open-docker.ts';
import { nodeQueues } from './node/queues.ts';
import { openSnapshotStore } from './node/snapshot-store.ts';
import { keepWorking } from './node/temporal-work.ts';
import type { RunningRole } from './run-role.ts';
import { openMetricsServerIf } from './telemetry/metrics-server.ts';
import { createNodeTelemetry } from './telemetry/node-telemetry.ts';

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
  const { NODE_JOIN_TOKEN_FILE: tokenFile, NODE_KEY_DIR: dir } = config;
  const joinToken = tokenFile ? await readSecretFile(tokenFile, 'NODE_JOIN_TOKEN_FILE') : '';
  const lease = createNodeLease();
  const keys = await connectIdentity({ dir, controlUrl: config.CONTROL_URL, epoch: lease.epoch });
  const controlJwks = await openControlJwks(dir);
  installTemporalLog(log);

  const holding = createLeaseHolding(dir);
  const requireKeeping = (): void => {
    if (!holding.isOnlyHere()) lease.require();
  };
  const { docker, kept, own, isOutdated } = await openDocker(config, {
    ...{ log, requireLease: lease.require, requireKeeping },
    ...{ epoch: lease.epoch, fetchManagers: keys.control.fetchSwarmManagers },
  });
  const registry = await openBuildRegistry(config);
  const git = await openGit({
    folder: join(dir, 'git'),
    rules: { allowedHosts: config.NODE_ALLOWED_GIT_HOSTS },
    caFile: config.NODE_GIT_CA_FILE,
    fetchCredential: keys.openSourceCredential,
  });
  const nixpacks = await openNodeNixpacks(config, environment, log);
  const gateway = await listenForGateway({ config, docker, own, keys, controlJwks, log });
  const stopping = new AbortController();
  const { signal } = stopping;
  const leaving = new AbortController();
  const daemon = createDaemonWatch(() => docker.checkHealth());
  const disk = createDiskWatch(docker.measureDisk, { minFreePercent: config.NODE_MIN_FREE_DISK });
  const cores = availableParallelism();
  const startSlot = pLimit(STARTS_PER_CORE * cores);
  const keeping = { docker: kept, requireKeeping };
  const observers = await observeReplicas({ config, docker, keys, kept: keeping, startSlot, log });
  const { hub, keeper, monitor, reporter } = observers;
  const snapshots = await openSnapshotStore(config);
  const arrivals = await openArrivals(config.NODE_KEY_DIR, disk);
  const work = keepWorking(
    { address: config.TEMPORAL_ADDRESS, namespace: config.TEMPORAL_NAMESPACE, payloadKeys },
    nodeQueues({
      ...{ config, keys, docker, git, nixpacks, registry, daemon: whileLeased(daemon, lease), disk, ...observers },
      ...{ snapshots, arrivals, cores, startSlot },
    }),
    { signal, tenure: lease.tenure, log },
  );
  const enrolment = createEnrolment({
    control: keys.control,
    introduce: async () => {
      const { labels, ...host } = await docker.describeHost();
      const named = {
        ...host,
        hostname: config.NODE_NAME ?? host.hostname,
        labels: { ...labels, ...config.NODE_LABELS },
      };
      const nixpacksVersion = nixpacks?.version ?? '';
      return { ...named, nixpacksVersion, ...keys.publicHalf, joinToken, ...addressesOf(config) };
    },
    ...{ isOutdated, enrolledAnew: daemon.lookAgain },
    docker: () => daemon.current(),
    lease,
    holding,
    keepControlJwks: controlJwks.keep,
    log,
  });
  const loops = [
    daemon.run(signal),
    disk.run(signal),
    hub.run(docker.followEvents(signal)),
    keeper.run(signal),
    enrolment.enrolled.then(() => reporter.run(signal)),
  ];
  const leased = enrolment.run(leaving.signal);
  const ready = Promise.all([work.polling, enrolment.enrolled]);
  await Promise.race([ready, delay(READY_WITHIN_MS, undefined, { ref: false })]);
  const exposed = { host: config.BIND_ADDRESS, registry: createNodeTelemetry(about.version) };
  const metrics = await openMetricsServerIf(config.METRICS_PORT, exposed);
  return {
    stop: async () => {
      await metrics?.close();
      daemon.close();
      stopping.abort(new Error('this node stops'));
      await Promise.all([work.ended, gateway.stop()]);
      // What was under way has been finished under the lease, and nothing begins any more.
      leaving.abort(new Error('this node stops'));
      monitor.stop();
      await Promise.race([Promise.allSettled(loops), delay(LOOPS_END_WITHIN_MS)]);
      await leased;
      keys.control.close();
    },
  };
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
