import { ignored, type KeyRule, off, refused, TAKEN } from './read-keys.ts';

const HOST = 'it reaches into the node that the container runs on, or into its neighbours';
const DEVICES = 'containers get no devices of a node';
const NAMES = 'other services reach this one by its service name, and so do its own names end there';
const TUNING = 'this setting of the kernel is the same for every container';
const LIFECYCLE = 'containers do nothing but run';
const FILES = 'only the text of the Compose file is there, no other file';
const LIMITS = 'CPU and memory have one limit each';
const JOBS = 'every service runs on; jobs that end are not';

const USE_LIMITS = 'cpus and mem_limit, or deploy.resources.limits';
const USE_NAMES = 'the service name as its hostname';

/** What becomes of every key that a service may have in the Compose specification. */
export const SERVICE_KEYS = {
  annotations: refused('annotations steer the runtime of the node'),
  attach: ignored('it concerns the output of `docker compose up` only'),
  blkio_config: refused(TUNING),
  build: TAKEN,
  cap_add: refused('a container gets no rights beyond those of every other'),
  cap_drop: ignored('every container has lost all rights but the few that ordinary images need to start'),
  cgroup: refused(HOST),
  cgroup_parent: refused(HOST),
  command: TAKEN,
  configs: refused(FILES, 'environment, or a file in the image'),
  container_name: refused('containers are named by the platform, for there may be several', USE_NAMES),
  cpu_count: refused(LIMITS, USE_LIMITS),
  cpu_percent: refused(LIMITS, USE_LIMITS),
  cpu_period: refused(LIMITS, USE_LIMITS),
  cpu_quota: refused(LIMITS, USE_LIMITS),
  cpu_rt_period: refused(TUNING, USE_LIMITS),
  cpu_rt_runtime: refused(TUNING, USE_LIMITS),
  cpu_shares: refused(LIMITS, USE_LIMITS),
  cpus: TAKEN,
  cpuset: refused(TUNING, USE_LIMITS),
  credential_spec: refused(FILES),
  depends_on: TAKEN,
  deploy: TAKEN,
  develop: ignored('it concerns `docker compose watch` only'),
  device_cgroup_rules: refused(DEVICES),
  devices: refused(DEVICES),
  dns: refused('names are resolved by the platform'),
  dns_opt: refused('names are resolved by the platform'),
  dns_search: refused('names are resolved by the platform'),
  domainname: refused(NAMES, USE_NAMES),
  entrypoint: TAKEN,
  env_file: refused(FILES, 'environment, with ${NAME} for what you give with the file'),
  environment: TAKEN,
  expose: TAKEN,
  extends: refused('a file stands for itself', 'anchors and merge keys of YAML (&name, <<: *name)'),
  external_links: refused('an application reaches no other one', USE_NAMES),
  extra_hosts: refused('names are resolved by the platform', USE_NAMES),
  gpus: refused(DEVICES),
  group_add: refused('groups of a node are not those of a container', 'user, as user:group'),
  healthcheck: TAKEN,
  hostname: refused(NAMES, USE_NAMES),
  image: TAKEN,
  init: TAKEN,
  ipc: refused(HOST),
  isolation: refused(TUNING),
  label_file: refused(FILES),
  labels: TAKEN,
  links: refused('services reach each other without', USE_NAMES),
  logging: TAKEN,
  mac_address: refused('addresses are given by the platform'),
  mem_limit: TAKEN,
  mem_reservation: TAKEN,
  mem_swappiness: refused(TUNING),
  memswap_limit: refused('containers do not swap', 'mem_limit'),
  models: refused('there are no language models'),
  network_mode: refused('every application runs in one private network of its own'),
  networks: TAKEN,
  oom_kill_disable: off(TUNING),
  oom_score_adj: refused(TUNING),
  pid: refused(HOST),
  pids_limit: refused('every container may have the same number of processes'),
  platform: ignored('the image is taken for the kind of processor that the node has'),
  ports: TAKEN,
  post_start: refused(LIFECYCLE, 'a command that does it first'),
  pre_start: refused(LIFECYCLE, 'a command that does it first'),
  pre_stop: refused(LIFECYCLE, 'a command that does it on SIGTERM'),
  privileged: off('it gives a container every right over its node'),
  profiles: refused('every service of the file runs', 'a file with the services that are to run'),
  provider: refused('services are containers'),
  pull_policy: TAKEN,
  pull_refresh_after: ignored('an image is looked up when it is deployed'),
  read_only: TAKEN,
  restart: TAKEN,
  runtime: refused(HOST),
  scale: TAKEN,
  secrets: refused(FILES, 'environment, with ${NAME} for what you give with the file'),
  security_opt: TAKEN,
  shm_size: refused('the size of /dev/shm is the same for every container', 'a tmpfs at another path'),
  stdin_open: off('nobody is attached to a service'),
  stop_grace_period: TAKEN,
  stop_signal: refused(
    'containers are stopped by SIGTERM, or by what their image says',
    'STOPSIGNAL in the Dockerfile',
  ),
  storage_opt: refused(TUNING),
  sysctls: refused(TUNING),
  tmpfs: TAKEN,
  tty: off('nobody is attached to a service'),
  ulimits: refused(TUNING),
  umask: refused(TUNING),
  use_api_socket: off('it gives a container every right over its node'),
  user: TAKEN,
  userns_mode: refused(HOST),
  uts: refused(HOST),
  volumes: TAKEN,
  volumes_from: refused('a volume is shared by its name', 'a named volume in both services'),
  working_dir: TAKEN,
} satisfies Record<string, KeyRule>;

/** What becomes of every key at the top of a file. */
export const FILE_KEYS = {
  configs: refused(FILES, 'environment, or a file in the image'),
  include: refused(FILES, 'one file with all services'),
  jobs: refused(JOBS),
  models: refused('there are no language models'),
  name: TAKEN,
  networks: TAKEN,
  secrets: refused(FILES, 'environment, with ${NAME} for what you give with the file'),
  services: TAKEN,
  version: TAKEN,
  volumes: TAKEN,
} satisfies Record<string, KeyRule>;

/** What becomes of every key of `build`. */
export const BUILD_KEYS = {
  additional_contexts: refused('a build sees its own context only', 'COPY --from=<image> in the Dockerfile'),
  args: TAKEN,
  cache_from: ignored('the platform keeps its own cache of builds'),
  cache_to: ignored('the platform keeps its own cache of builds'),
  context: TAKEN,
  dockerfile: TAKEN,
  dockerfile_inline: refused('a Dockerfile is a file of the context', 'dockerfile'),
  entitlements: refused(HOST),
  extra_hosts: refused('names are resolved by the platform'),
  isolation: refused(TUNING),
  labels: TAKEN,
  network: refused('a build has a network of its own'),
  no_cache: off('the platform keeps its own cache of builds'),
  no_cache_filter: refused('the platform keeps its own cache of builds'),
  platforms: refused('an image is built for the kind of processor that the node has'),
  privileged: off('it gives a build every right over its node'),
  provenance: refused('builds are recorded by the platform'),
  pull: ignored('base images are looked up by the platform'),
  sbom: refused('builds are recorded by the platform'),
  secrets: refused(FILES, 'args for what is no secret'),
  shm_size: refused('the size of /dev/shm is the same for every build'),
  ssh: refused(FILES),
  tags: ignored('images are named by the platform'),
  target: TAKEN,
  ulimits: refused(TUNING),
} satisfies Record<string, KeyRule>;

const ROLLOUTS = 'the platform has its own way: all new replicas are healthy before an old one goes';

/** What becomes of every key of `deploy`. */
export const DEPLOY_KEYS = {
  endpoint_mode: refused('requests are spread by the ingress'),
  labels: TAKEN,
  mode: TAKEN,
  placement: TAKEN,
  replicas: TAKEN,
  resources: TAKEN,
  restart_policy: TAKEN,
  rollback_config: ignored(ROLLOUTS),
  update_config: ignored(ROLLOUTS),
} satisfies Record<string, KeyRule>;

/** What becomes of every key of `deploy.placement`. */
export const PLACEMENT_KEYS = {
  constraints: TAKEN,
  max_replicas_per_node: refused('all services of a file run on one node'),
  preferences: ignored('all services of a file run on one node'),
} satisfies Record<string, KeyRule>;

/** What becomes of every key below `deploy.resources`. */
export const RESOURCE_KEYS = { limits: TAKEN, reservations: TAKEN } satisfies Record<string, KeyRule>;
export const LIMIT_KEYS = {
  cpus: TAKEN,
  memory: TAKEN,
  pids: refused('every container may have the same number of processes'),
} satisfies Record<string, KeyRule>;
export const RESERVATION_KEYS = {
  cpus: TAKEN,
  devices: refused(DEVICES),
  generic_resources: refused(DEVICES),
  memory: TAKEN,
} satisfies Record<string, KeyRule>;

/** What becomes of every key of `deploy.restart_policy`. */
export const RESTART_POLICY_KEYS = {
  condition: TAKEN,
  delay: ignored('Docker waits longer after each restart by itself'),
  max_attempts: ignored('a container is restarted as often as it takes'),
  window: ignored('Docker decides by itself when a restart has succeeded'),
} satisfies Record<string, KeyRule>;

/** What becomes of every key of `healthcheck`. */
export const HEALTH_KEYS = {
  disable: TAKEN,
  interval: TAKEN,
  retries: TAKEN,
  start_interval: ignored('a container that starts is checked every second, or as often as interval says'),
  start_period: TAKEN,
  test: TAKEN,
  timeout: TAKEN,
} satisfies Record<string, KeyRule>;

/** What becomes of every key of a dependency. */
export const DEPENDENCY_KEYS = {
  condition: TAKEN,
  required: TAKEN,
  restart: ignored('services are changed by deploying, each after those that it depends on'),
} satisfies Record<string, KeyRule>;

/** What becomes of every key of a port in long form. */
export const PORT_KEYS = {
  app_protocol: TAKEN,
  host_ip: TAKEN,
  mode: TAKEN,
  name: TAKEN,
  protocol: TAKEN,
  published: TAKEN,
  target: TAKEN,
} satisfies Record<string, KeyRule>;

/** What becomes of every key of a mount in long form, and of the maps in it. */
export const MOUNT_KEYS = {
  bind: refused('folders of a node cannot be mounted', 'a named volume'),
  consistency: ignored('it concerns Docker Desktop only'),
  image: refused('images cannot be mounted', 'a named volume'),
  read_only: TAKEN,
  source: TAKEN,
  target: TAKEN,
  tmpfs: TAKEN,
  type: TAKEN,
  volume: TAKEN,
} satisfies Record<string, KeyRule>;
export const MOUNT_VOLUME_KEYS = {
  labels: TAKEN,
  nocopy: off('a new volume begins with what the image has at its path'),
  subpath: refused('a volume is mounted whole'),
} satisfies Record<string, KeyRule>;
export const MOUNT_TMPFS_KEYS = {
  mode: refused('a tmpfs may be written by everybody in its container'),
  size: TAKEN,
} satisfies Record<string, KeyRule>;

/** What becomes of every key of a volume of the file. */
export const VOLUME_KEYS = {
  driver: TAKEN,
  driver_opts: refused('options of a driver can name any folder of a node'),
  external: off('an application has volumes of its own only', 'a volume of this file'),
  labels: TAKEN,
  name: TAKEN,
} satisfies Record<string, KeyRule>;

/** What becomes of every key of a network of the file. */
export const NETWORK_KEYS = {
  attachable: ignored('only this application runs in its network'),
  driver: TAKEN,
  driver_opts: refused('networks are made by the platform'),
  enable_ipv4: refused('addresses are given by the platform'),
  enable_ipv6: refused('addresses are given by the platform'),
  external: off('an application runs in one private network of its own'),
  internal: off('an application may reach the internet'),
  ipam: refused('addresses are given by the platform'),
  labels: TAKEN,
  name: TAKEN,
} satisfies Record<string, KeyRule>;

/** What becomes of every key of a service in one of its networks. */
export const SERVICE_NETWORK_KEYS = {
  aliases: refused('another name could take the place of another service', USE_NAMES),
  driver_opts: refused('networks are made by the platform'),
  gw_priority: refused('there is one network'),
  interface_name: refused('networks are made by the platform'),
  ipv4_address: refused('addresses are given by the platform'),
  ipv6_address: refused('addresses are given by the platform'),
  link_local_ips: refused('addresses are given by the platform'),
  mac_address: refused('addresses are given by the platform'),
  priority: ignored('there is one network'),
  use_service_name_alias: refused('every service is reached by its name'),
} satisfies Record<string, KeyRule>;

/** What becomes of every key of `logging`. */
export const LOGGING_KEYS = { driver: TAKEN, options: TAKEN } satisfies Record<string, KeyRule>;
