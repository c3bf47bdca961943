import { z } from 'zod';
import { temporalVariables } from './orchestrator.ts';
import {
  bindAddress,
  choice,
  durationMs,
  hostAddress,
  integer,
  list,
  logLevel,
  nodeLabels,
  optionalInteger,
  percent,
  port,
  sizeBytes,
  url,
} from './variables.ts';

/** The official image of nginx that needs no root, and where it serves from. */
const DEFAULT_SITE = { image: 'nginxinc/nginx-unprivileged:stable-alpine', folder: '/usr/share/nginx/html' };

/** Half of what the workflow of a build allows for it with its wait, see `contracts/timing.ts`. */
const MAX_BUILD_MS = 12 * 3_600_000;

/** A host that cannot be taken for a part of a name (a dot, a port or localhost), and lower-case words. */
const REGISTRY =
  /^(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+(?=:))(:\d{1,5})?(\/[a-z0-9]+([._-][a-z0-9]+)*){0,8}$/;

/** Variables of the role `node`. */
export const nodeVariables = temporalVariables.extend({
  /** Where this process' own counters are served as Prometheus text; nowhere without it. */
  METRICS_PORT: optionalInteger({ min: 1, max: 65_535 }),
  LOG_LEVEL: logLevel,
  SHUTDOWN_GRACE: durationMs('30s'),
  OBIENTE_INSTANCE: z.string().regex(/^[a-z0-9]{8}$/, 'must have 8 characters of a-z and 0-9'),
  CONTROL_URL: url('http', 'https').default('http://127.0.0.1:7400'),
  /** Absent on a host that has joined with a token of its own. */
  NODE_JOIN_TOKEN_FILE: z.string().optional(),
  NODE_KEY_DIR: z.string(),
  NODE_SNAPSHOT_DIR: z.string().optional(),
  /** A bucket for snapshots in place of the folder. */
  SNAPSHOT_S3_BUCKET: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket')
    .optional(),
  /** Where it is, for every storage but Amazon's. */
  SNAPSHOT_S3_ENDPOINT: url('https', 'http').optional(),
  SNAPSHOT_S3_REGION: z
    .string()
    .regex(/^[\w-]+$/, 'must be a region such as eu-central-1')
    .default('us-east-1'),
  /** What keys begin with, before the instance. */
  SNAPSHOT_S3_PREFIX: z
    .string()
    .regex(/^(?:[\w.-]+\/)*$/, 'must be folders such as backups/obiente/')
    .default(''),
  /** File with `access-key-id:secret-access-key`. */
  SNAPSHOT_S3_CREDENTIAL_FILE: z.string().optional(),
  /** What people call this host; else what it calls itself. */
  NODE_NAME: z
    .string()
    .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/, 'must be a name of letters, digits, dots and hyphens')
    .optional(),
  NODE_ADDRESS: hostAddress(),
  /** What placement may know of this host, such as `region=eu,disk=ssd`. */
  NODE_LABELS: nodeLabels(),
  BIND_ADDRESS: bindAddress(),
  NODE_GATEWAY_PORT: port(7410),
  STREAMER_GATEWAY_PORT: port(7411),
  DOCKER_SOCKET: z.string().default('/var/run/docker.sock'),
  /** What replicas are: containers of this host's daemon, or services of the swarm that it manages. */
  RUNTIME: choice(['docker', 'swarm'], 'docker'),
  /** Share of the daemon's disk that has to stay free: with less of it the node takes no new replicas. `0%`: none. */
  NODE_MIN_FREE_DISK: percent({ max: 50, default: 10 }),
  /** Image builds that go on at a time; others wait. Together they may use half of the host's cores and memory. */
  BUILDS_PER_NODE: integer({ min: 1, max: 64, default: 1 }),
  /** Longest build, its wait for a place not counted. */
  BUILD_TIMEOUT: durationMs('30m').refine((ms) => ms >= 1_000 && ms <= MAX_BUILD_MS, 'must be from 1s to 12h'),
  /** Nothing is built while the daemon's disk has less space than this. */
  BUILD_MIN_FREE_DISK: sizeBytes('5GiB'),
  /** A build is stopped when the daemon's disk has filled by this much since it began. */
  BUILD_MAX_DISK: sizeBytes('20GiB'),
  /** Where built images are pushed to and pulled from, below a folder of this installation; else nodes send them. */
  BUILD_REGISTRY: z.string().regex(REGISTRY, 'must be a registry such as registry.example.com/builds').optional(),
  /** File with `username:password` for it. */
  BUILD_REGISTRY_CREDENTIAL_FILE: z.string().optional(),
  /** Image that serves pages: its own command serves the folder on port 8080. */
  STATIC_SITE_IMAGE: z.string().regex(/^\S+$/, 'must be an image reference').default(DEFAULT_SITE.image),
  /** Where that image serves from. */
  STATIC_SITE_FOLDER: z
    .string()
    .regex(/^(?:\/[\w.-]+)+$/, 'must be an absolute path')
    .default(DEFAULT_SITE.folder),
  /** Absolute path of nixpacks, which builds what has no Dockerfile; else it is looked for on the PATH. */
  NIXPACKS_PATH: z.string().regex(/^\//, 'must be an absolute path').optional(),
  /** Git servers on the platform's own network that this node may fetch from, as `host` or `host:port`. */
  NODE_ALLOWED_GIT_HOSTS: list(),
  /** PEM certificates that Git servers are checked against in place of the machine's. */
  NODE_GIT_CA_FILE: z.string().optional(),
});

/** What the role `node` is told. */
export type NodeConfig = z.infer<typeof nodeVariables>;
