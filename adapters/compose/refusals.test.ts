import { describe, expect, it } from 'vitest';
import { DomainError } from '../../domain/errors.ts';
import { parseCompose } from './parse-compose.ts';

/** What a text is refused for. */
function refusalOf(text: string, variables: Record<string, string> = {}): DomainError {
  try {
    parseCompose(text, { variables });
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error(`accepted:\n${text}`);
}

function indent(text: string, by: number): string {
  return text.replaceAll(/^/gm, ' '.repeat(by));
}

/** The same lines of a service in every way in which YAML can bring them there. */
const WAYS: readonly (readonly [string, (lines: string) => string])[] = [
  ['as they stand', (lines) => `services:\n  web:\n    image: nginx:1\n${indent(lines, 4)}\n`],
  [
    'by a merge key',
    (lines) => `x-evil: &evil\n${indent(lines, 2)}\nservices:\n  web:\n    image: nginx:1\n    <<: *evil\n`,
  ],
  [
    'by the second of two merges',
    (lines) =>
      `x-good: &good\n  attach: true\nx-evil: &evil\n${indent(lines, 2)}\nservices:\n  web:\n    <<: [*good, *evil]\n    image: nginx:1\n`,
  ],
  ['by an alias', (lines) => `x-web: &web\n  image: nginx:1\n${indent(lines, 2)}\nservices:\n  web: *web\n`],
];

/** Lines of a service, and the field that they are refused for. `web.` stands for `services.web.`. */
type Row = readonly [lines: string, field: string];

function each(key: string, values: readonly string[]): Row[] {
  return values.map((value) => [`${key}: ${value}`, key] as const);
}

const TRUE_WORDS = [
  'true',
  'True',
  'TRUE',
  '"true"',
  "'true'",
  'yes',
  'Yes',
  'on',
  'y',
  '"yes"',
  '1',
  '"1"',
  '!!bool "true"',
];

const CAPABILITIES = [
  'ALL',
  'SYS_ADMIN',
  'SYS_MODULE',
  'SYS_PTRACE',
  'SYS_RAWIO',
  'DAC_READ_SEARCH',
  'NET_ADMIN',
  'NET_RAW',
  'BPF',
  'PERFMON',
  'MKNOD',
  'SYS_BOOT',
  'SYS_TIME',
  'SYSLOG',
  'MAC_ADMIN',
  'CAP_SYS_ADMIN',
  'cap_sys_admin',
];

const RIGHTS: readonly Row[] = [
  ...each('privileged', TRUE_WORDS),
  ...each('privileged', ['"false"', 'no', 'null']),
  ...each('use_api_socket', ['true']),
  ...each('cap_add', [...CAPABILITIES.map((name) => `[${name}]`), '[]', 'ALL', '\n  - NET_ADMIN']),
  ...each('security_opt', ['seccomp=unconfined', '{seccomp: unconfined}']),
  ['security_opt: [seccomp=unconfined]', 'security_opt[0]'],
  ['security_opt: ["no-new-privileges:true", "seccomp:unconfined"]', 'security_opt[1]'],
  ['security_opt:\n  - apparmor=unconfined', 'security_opt[0]'],
  ['security_opt: ["no-new-privileges:false"]', 'security_opt[0]'],
  ['security_opt: [label=disable]', 'security_opt[0]'],
  ['security_opt: [systempaths=unconfined]', 'security_opt[0]'],
  ...each('group_add', ['[docker]', '[0]']),
  ...each('credential_spec', ['{file: x.json}']),
  ...each('annotations', ['{a: b}', '[a=b]']),
];

const NAMESPACES: readonly Row[] = [
  ...each('pid', ['host', '"container:other"', 'service:web']),
  ...each('ipc', ['host', '"container:x"', 'shareable', '"service:web"']),
  ...each('userns_mode', ['host', '"host"']),
  ...each('uts', ['host']),
  ...each('cgroup', ['host', 'private']),
  ...each('cgroup_parent', ['/docker']),
  ...each('network_mode', ['host', '"host"', 'none', 'bridge', '"container:other"', '"service:web"']),
  ...each('isolation', ['process']),
  ...each('runtime', ['nvidia', 'other', 'runc']),
];

const DEVICES: readonly Row[] = [
  ...each('devices', [
    '[/dev/sda]',
    '["/dev/kmsg:/dev/kmsg"]',
    '[/dev/mem]',
    '[/dev/fuse]',
    '[{source: /dev/sda}]',
    '[]',
  ]),
  ...each('device_cgroup_rules', ['["a *:* rwm"]']),
  ...each('gpus', ['all', '[{driver: nvidia}]']),
  ['deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}', 'deploy.resources.reservations.devices'],
  ['deploy: {resources: {reservations: {generic_resources: []}}}', 'deploy.resources.reservations.generic_resources'],
  ...each('blkio_config', ['{weight: 10}']),
  ...each('storage_opt', ['{size: 1T}']),
  ...each('sysctls', ['{net.core.somaxconn: 1024}', '[kernel.shmmax=1]']),
  ...each('ulimits', ['{nofile: 1000000000}', '{nproc: 65535}', '{core: -1}', '{nofile: {soft: 1, hard: 2}}']),
];

const SIZES: readonly Row[] = [
  ...each('mem_limit', ['0', '-1', '"-1"', '1t', '1 TiB', '1024g', '1m', 'lots', 'null', '1e30', '[1]', 'true']),
  ...each('memswap_limit', ['-1', '2g']),
  ...each('mem_swappiness', ['100']),
  ...each('shm_size', ['1t', '128mb']),
  ...each('oom_score_adj', ['-1000']),
  ...each('oom_kill_disable', ['true', '"true"']),
  ...each('pids_limit', ['-1', '0']),
  ...each('cpus', ['0', '-1', '1e9', '"0"', '"-0.5"', '"NaN"', 'all', 'true']),
  ...each('cpu_rt_runtime', ['95000', '"95ms"']),
  ...each('cpu_rt_period', ['95000']),
  ...each('cpuset', ['"0-3"', '"0"']),
  ...each('cpu_shares', ['2']),
  ...each('cpu_quota', ['50000']),
  ...each('cpu_count', ['2']),
  ['deploy: {resources: {limits: {memory: 0}}}', 'deploy.resources.limits.memory'],
  ['deploy: {resources: {limits: {memory: -1}}}', 'deploy.resources.limits.memory'],
  ['deploy: {resources: {limits: {memory: 1t}}}', 'deploy.resources.limits.memory'],
  ['deploy: {resources: {limits: {cpus: "0"}}}', 'deploy.resources.limits.cpus'],
  ['deploy: {resources: {limits: {cpus: -1}}}', 'deploy.resources.limits.cpus'],
  ['deploy: {resources: {limits: {pids: -1}}}', 'deploy.resources.limits.pids'],
  ['deploy: {resources: {reservations: {memory: 1g}}}', 'deploy.resources.reservations.memory'],
  ['mem_reservation: 1g', 'mem_reservation'],
  ['mem_limit: 64m\ndeploy: {resources: {limits: {memory: 65m}}}', 'deploy.resources.limits.memory'],
  ...each('scale', ['-1', '1000000', '"1000000"', '1.5', 'many']),
  ['deploy: {replicas: 1000000}', 'deploy.replicas'],
  ['deploy: {replicas: -1}', 'deploy.replicas'],
  ['deploy: {replicas: "-1"}', 'deploy.replicas'],
  ['scale: 1\ndeploy: {replicas: 2}', 'deploy.replicas'],
  ['tmpfs: /run:size=1t', 'tmpfs'],
  ['tmpfs: ["/run:size=0"]', 'tmpfs[0]'],
  ['tmpfs: ["/run:exec,suid"]', 'tmpfs[0]'],
  ['tmpfs: [/proc]', 'tmpfs[0]'],
  ['volumes: [{type: tmpfs, target: /run, tmpfs: {size: 1t}}]', 'volumes[0].tmpfs.size'],
  ['volumes: [{type: tmpfs, target: /run, tmpfs: {mode: 777}}]', 'volumes[0].tmpfs.mode'],
];

const BINDS = [
  '/:/host',
  '/etc:/x',
  '/proc:/x',
  '/sys:/x:ro',
  '/dev:/x',
  '/root:/x',
  '/var/lib/docker:/x',
  '/var/run/docker.sock:/var/run/docker.sock',
  './../../../../etc:/x',
  '../x:/x',
  '..:/x',
  '.:/x',
  './data:/x',
  'data/../../etc:/x',
  '~/x:/x',
  '~:/x',
  '$$HOME/x:/x',
  '\\\\.\\pipe\\docker_engine:/x',
  'C:\\data:/x',
  'c:/data:/x',
];

const MOUNTS: readonly Row[] = [
  ...BINDS.map((bind) => [`volumes: ['${bind}']`, 'volumes[0]'] as const),
  ['volumes: [{type: bind, source: /, target: /host}]', 'volumes[0]'],
  ['volumes: [{type: "bind", source: /etc, target: /x, read_only: true}]', 'volumes[0]'],
  ['volumes: [{type: volume, source: /etc, target: /x}]', 'volumes[0].source'],
  ['volumes: [{type: volume, source: ../x, target: /x}]', 'volumes[0].source'],
  ['volumes: [{type: volume, source: other, target: /x}]', 'volumes[0].source'],
  ['volumes: [{type: volume, target: /x}]', 'volumes[0]'],
  ['volumes: [{type: npipe, source: a, target: /x}]', 'volumes[0].type'],
  ['volumes: [{type: cluster, source: a, target: /x}]', 'volumes[0].type'],
  ['volumes: [{type: image, source: a, target: /x}]', 'volumes[0].type'],
  ['volumes: [{type: volume, source: a, target: /x, bind: {propagation: shared}}]', 'volumes[0].bind'],
  ['volumes: [{type: tmpfs, target: /sys/fs}]', 'volumes[0].target'],
  ['volumes: [{type: tmpfs, target: "/a/../proc"}]', 'volumes[0].target'],
  ['volumes: [{type: tmpfs, target: relative}]', 'volumes[0].target'],
  ['volumes: [/data]', 'volumes[0]'],
  ['volumes: ["a;id:/x"]', 'volumes[0]'],
  ['volumes: ["other:/x"]', 'volumes[0]'],
  ['volumes: ["other:/x:rshared"]', 'volumes[0]'],
  ['volumes: {data: /x}', 'volumes'],
  ...each('volumes_from', ['[other]', '["container:other:ro"]']),
];

const FILES: readonly Row[] = [
  ...each('extends', [
    'other',
    '{file: /etc/passwd, service: web}',
    '{service: web}',
    '{file: "https://x.test/a.yml", service: a}',
  ]),
  ...each('env_file', ['/etc/shadow', '../../.env', '.env', '[.env]', '[{path: /etc/shadow, required: false}]']),
  ...each('label_file', ['/etc/shadow']),
  ...each('configs', ['[a]', '[{source: a, target: /x}]']),
  ...each('secrets', ['[a]', '[{source: a, target: /x}]']),
];

const BUILDS: readonly Row[] = [
  ...each('build', [
    '/',
    '/etc',
    '..',
    '../other',
    './a/../../b',
    '~/x',
    'http://169.254.169.254/x',
    'https://github.com/acme/app.git',
    'git@github.com:acme/app.git',
    'github.com/acme/app',
    'ssh://git@host/x',
    'docker-image://alpine',
    'C:\\x',
    'oci-layout:x',
  ]),
  ['build: {context: /}', 'build.context'],
  ['build: {context: "http://10.0.0.1/x.tar.gz"}', 'build.context'],
  ['build: {context: ., dockerfile: ../Dockerfile}', 'build.dockerfile'],
  ['build: {context: ., dockerfile: /etc/passwd}', 'build.dockerfile'],
  ['build: {context: ., dockerfile: ""}', 'build.dockerfile'],
  ['build: {context: ., dockerfile_inline: "FROM scratch"}', 'build.dockerfile_inline'],
  ['build: {context: ., target: "-x"}', 'build.target'],
  ['build: {context: ., privileged: true}', 'build.privileged'],
  ['build: {context: ., privileged: "yes"}', 'build.privileged'],
  ['build: {context: ., secrets: [a]}', 'build.secrets'],
  ['build: {context: ., secrets: [{source: a, target: /etc/passwd}]}', 'build.secrets'],
  ['build: {context: ., ssh: [default]}', 'build.ssh'],
  ['build: {context: ., ssh: {key: /root/.ssh/id}}', 'build.ssh'],
  ['build: {context: ., entitlements: [network.host]}', 'build.entitlements'],
  ['build: {context: ., entitlements: [security.insecure]}', 'build.entitlements'],
  ['build: {context: ., network: host}', 'build.network'],
  ['build: {context: ., additional_contexts: {a: /}}', 'build.additional_contexts'],
  ['build: {context: ., additional_contexts: ["a=/"]}', 'build.additional_contexts'],
  ['build: {context: ., extra_hosts: ["a:1.2.3.4"]}', 'build.extra_hosts'],
  ['build: {context: ., ulimits: {nofile: 1}}', 'build.ulimits'],
  ['build: {context: ., shm_size: 1t}', 'build.shm_size'],
  ['build: {context: ., labels: {traefik.enable: "true"}}', 'build.labels["traefik.enable"]'],
];

const LABELS: readonly Row[] = [
  ['labels: {traefik.enable: true}', 'labels["traefik.enable"]'],
  ['labels: {TRAEFIK.ENABLE: "true"}', 'labels["TRAEFIK.ENABLE"]'],
  ['labels: {Traefik.http.routers.a.rule: "Host(`x`)"}', 'labels["Traefik.http.routers.a.rule"]'],
  ['labels: ["traefik.enable=true"]', 'labels[0]'],
  ['labels:\n  - harmless=1\n  - TRAEFIK.enable=true', 'labels[1]'],
  ['labels: [traefik.enable]', 'labels[0]'],
  ['labels: {com.docker.compose.project: other}', 'labels["com.docker.compose.project"]'],
  ['labels: ["COM.DOCKER.x=1"]', 'labels[0]'],
  ['labels: {platform.tenant: other}', 'labels["platform.tenant"]'],
  ['labels: {cloud.obiente.managed: "true"}', 'labels["cloud.obiente.managed"]'],
  ['labels: ["cloud.obiente.instance=a"]', 'labels[0]'],
  ['deploy: {labels: {traefik.enable: true}}', 'deploy.labels["traefik.enable"]'],
  ['deploy: {labels: ["traefik.enable=true"]}', 'deploy.labels[0]'],
];

const NAMES: readonly Row[] = [
  ...each('hostname', ['platform-api', '"a"']),
  ...each('domainname', ['internal']),
  ...each('container_name', ['platform-api']),
  ...each('extra_hosts', [
    '["platform-api:1.2.3.4"]',
    '{platform-api: 1.2.3.4}',
    '[host.docker.internal:host-gateway]',
  ]),
  ...each('dns', ['169.254.169.254', '[8.8.8.8]']),
  ...each('dns_search', ['internal']),
  ...each('dns_opt', ['[use-vc]']),
  ...each('links', ['[db]', '["db:postgres"]']),
  ...each('external_links', ['[other]']),
  ...each('mac_address', ['02:42:ac:11:65:43']),
  ['networks: {default: {aliases: [postgres]}}', 'networks.default.aliases'],
  ['networks: {default: {ipv4_address: 10.0.0.2}}', 'networks.default.ipv4_address'],
  ['networks: [other]', 'networks[0]'],
  ['networks: {other: }', 'networks.other'],
];

const LOGGING: readonly Row[] = [
  ['logging: {driver: syslog, options: {syslog-address: "tcp://10.0.0.1:514"}}', 'logging.driver'],
  ['logging: {driver: fluentd}', 'logging.driver'],
  ['logging:\n  driver: gelf\n  options:\n    gelf-address: udp://10.0.0.1:1', 'logging.driver'],
  ['logging: {driver: "awslogs"}', 'logging.driver'],
  ['logging: {options: {syslog-address: "udp://10.0.0.1:514"}}', 'logging.options.syslog-address'],
  ['logging: {driver: json-file, options: {tag: x}}', 'logging.options.tag'],
  ['logging: {drivr: local}', 'logging.drivr'],
];

const LIFE: readonly Row[] = [
  ...each('restart', ['no', '"no"', 'false', 'never', '"on-failure:x"', 'sometimes', '1']),
  ['deploy: {restart_policy: {condition: none}}', 'deploy.restart_policy.condition'],
  ['deploy: {mode: global}', 'deploy.mode'],
  ['deploy: {mode: replicated-job}', 'deploy.mode'],
  ['deploy: {placement: {constraints: ["node.role==manager"]}}', 'deploy.placement.constraints[0]'],
  ['deploy: {endpoint_mode: dnsrr}', 'deploy.endpoint_mode'],
  ['depends_on: {web: {condition: service_completed_successfully}}', 'depends_on.web.condition'],
  ['depends_on: [web]', 'depends_on[0]'],
  ['depends_on: [other]', 'depends_on[0]'],
  ['depends_on: {other: {condition: service_started}}', 'depends_on.other'],
  ...each('pre_start', ['[{image: a}]']),
  ...each('post_start', ['[{command: id, privileged: true, user: root}]']),
  ...each('pre_stop', ['[{command: id}]']),
  ...each('profiles', ['[debug]']),
  ...each('provider', ['{type: awesomecloud}']),
  ...each('models', ['[llm]']),
  ...each('stop_signal', ['SIGKILL']),
  ...each('stop_grace_period', ['11m', '-1s', '10', '"soon"']),
  ...each('tty', ['true', '"true"']),
  ...each('stdin_open', ['true']),
  ...each('user', ['1000', '"a b"', '"-u"', '"0:0:0"', '$$(id)']),
  ...each('working_dir', ['relative', '/a/../..', '/proc/self']),
  ...each('init', ['maybe', '2']),
  ...each('read_only', ['"1"']),
  ...each('umask', ['0']),
  ...each('pull_policy', ['never', 'sometimes']),
  ...each('platform', ['[linux/amd64]']),
];

const PORTS: readonly Row[] = [
  ['ports: ["0"]', 'ports[0]'],
  ['ports: ["70000"]', 'ports[0]'],
  ['ports: ["80:65536"]', 'ports[0]'],
  ['ports: ["65536:80"]', 'ports[0]'],
  ['ports: [-80]', 'ports[0]'],
  ['ports: [80.5]', 'ports[0]'],
  ['ports: ["80:"]', 'ports[0]'],
  ['ports: ["a:80"]', 'ports[0]'],
  ['ports: ["3000-2999"]', 'ports[0]'],
  ['ports: ["3000-3001:3000-3002"]', 'ports[0]'],
  ['ports: ["1-65535"]', 'ports[0]'],
  ['ports: ["53:53/udp"]', 'ports[0]'],
  ['ports: ["53:53/sctp"]', 'ports[0]'],
  ['ports: [{target: 53, protocol: udp}]', 'ports[0]'],
  ['ports: [{target: 0}]', 'ports[0].target'],
  ['ports: [{published: 80}]', 'ports[0]'],
  ['ports: [{target: 80, published: "70000"}]', 'ports[0].published'],
  ['ports: [{target: 80, mode: magic}]', 'ports[0].mode'],
  ['ports: "80"', 'ports'],
  ['expose: ["0"]', 'expose[0]'],
  ['expose: [http]', 'expose[0]'],
];

const UNKNOWN: readonly Row[] = [
  ['foo: 1', 'foo'],
  ['priviledged: true', 'priviledged'],
  ['Privileged: true', 'Privileged'],
  ['PRIVILEGED: true', 'PRIVILEGED'],
  ['" privileged": true', '[" privileged"]'],
  ['container-name: a', 'container-name'],
  ['mem-limit: 1g', 'mem-limit'],
  ['healthcheck: {tests: id}', 'healthcheck.tests'],
  ['deploy: {replica: 2}', 'deploy.replica'],
  ['deploy: {resources: {limit: {cpus: 1}}}', 'deploy.resources.limit'],
  ['build: {contxt: .}', 'build.contxt'],
  ['ports: [{port: 80}]', 'ports[0].port'],
  ['volumes: [{kind: bind}]', 'volumes[0].kind'],
  ['future_docker_key: {a: b}', 'future_docker_key'],
  ['"__proto__": {privileged: true}', '__proto__'],
  ['constructor: {a: b}', 'constructor'],
  ['toString: a', 'toString'],
  ['environment: {__proto__: a}', 'environment.__proto__'],
];

describe.each([
  ['rights', RIGHTS],
  ['namespaces', NAMESPACES],
  ['devices and limits of the kernel', DEVICES],
  ['sizes', SIZES],
  ['mounts', MOUNTS],
  ['other files', FILES],
  ['builds', BUILDS],
  ['labels', LABELS],
  ['names', NAMES],
  ['logging', LOGGING],
  ['life and death', LIFE],
  ['ports', PORTS],
  ['unknown keys', UNKNOWN],
])('a service with its own idea of %s', (_, rows) => {
  it.each(rows)('is refused, however YAML brings it there: %s', (lines, field) => {
    for (const [way, toText] of WAYS) {
      const error = refusalOf(toText(lines));
      expect(error.code, way).toBe('INVALID_ARGUMENT');
      expect(error.field, way).toBe(field.startsWith('[') ? `services.web${field}` : `services.web.${field}`);
      expect(error.message, way).toContain('; allowed is ');
    }
  });
});

const SERVICES = 'services:\n  web: {image: nginx:1}\n';

describe('a file', () => {
  it.each([
    ['include: ["https://x.test/compose.yml"]', 'include'],
    ['include: [../other/compose.yml]', 'include'],
    ['include: [{path: "git@github.com:acme/app.git"}]', 'include'],
    ['volumes: {data: {driver_opts: {type: none, o: bind, device: /}}}', 'volumes.data.driver_opts'],
    ['volumes: {data: {driver: local, driver_opts: {type: nfs}}}', 'volumes.data.driver_opts'],
    ['volumes: {data: {driver: rexray}}', 'volumes.data.driver'],
    ['volumes: {data: {external: true}}', 'volumes.data.external'],
    ['volumes: {data: {external: "true"}}', 'volumes.data.external'],
    ['volumes: {data: {external: yes}}', 'volumes.data.external'],
    ['volumes: {data: {external: {name: other}}}', 'volumes.data.external'],
    ['volumes: {data: {name: tenant-b_data}}', 'volumes.data.name'],
    ['volumes: {data: {labels: {com.docker.volume.driver: x}}}', 'volumes.data.labels["com.docker.volume.driver"]'],
    ['volumes: {"../x": }', 'volumes["../x"]'],
    ['volumes: {"a;id": }', 'volumes["a;id"]'],
    ['volumes: {-rf: }', 'volumes.-rf'],
    [`volumes: {${'a'.repeat(300)}: }`, `volumes["${'a'.repeat(80)}…"]`],
    ['volumes: [data]', 'volumes'],
    ['networks: {shared: {external: true}}', 'networks.shared.external'],
    ['networks: {shared: {external: {name: platform}}}', 'networks.shared.external'],
    ['networks: {default: {name: platform}}', 'networks.default.name'],
    ['networks: {a: {driver: host}}', 'networks.a.driver'],
    ['networks: {a: {driver: macvlan, driver_opts: {parent: eth0}}}', 'networks.a.driver_opts'],
    ['networks: {a: {ipam: {config: [{subnet: 10.0.0.0/8}]}}}', 'networks.a.ipam'],
    ['networks: {a: {internal: true}}', 'networks.a.internal'],
    ['networks: {a: {enable_ipv6: true}}', 'networks.a.enable_ipv6'],
    ['networks: {a: {labels: ["traefik.docker.network=a"]}}', 'networks.a.labels[0]'],
    ['secrets: {a: {file: /etc/shadow}}', 'secrets'],
    ['secrets: {a: {external: true}}', 'secrets'],
    ['configs: {a: {file: ../../x}}', 'configs'],
    ['configs: {a: {external: true}}', 'configs'],
    ['configs: {a: {content: x}}', 'configs'],
    ['models: {llm: {model: ai/smollm2}}', 'models'],
    ['jobs: {a: {image: b, triggers: {manual: true}}}', 'jobs'],
    ['version: 3', 'version'],
    ['name: [a]', 'name'],
    ['service: {}', 'service'],
    ['version_: "3"', 'version_'],
    ['"__proto__": {}', '__proto__'],
  ])('with %s is refused', (line, field) => {
    expect(refusalOf(`${SERVICES}${line}\n`).field).toBe(field);
  });

  it.each<Row>([
    ['{}', 'services'],
    ['services: {}', 'services'],
    ['services: ', 'services'],
    ['services: [web]', 'services'],
    ['services: {web: }', 'services.web'],
    ['services: {web: nginx}', 'services.web'],
    ['services: {web: {}}', 'services.web'],
    ['services: {web_app: {image: a}}', 'services.web_app'],
    ['services: {Web: {image: a}}', 'services.Web'],
    ['services: {"": {image: a}}', 'services[""]'],
    ['services: {-rf: {image: a}}', 'services.-rf'],
    ['services: {"$(id)": {image: a}}', 'services["$(id)"]'],
    ['services: {"a|id": {image: a}}', 'services["a|id"]'],
    ['services: {"a\\nb": {image: a}}', 'services["a\\nb"]'],
    ['services: {аdmin: {image: a}}', 'services["аdmin"]'],
    ['services: {"a\\u200bb": {image: a}}', 'services["a\u200bb"]'],
    ['services: {"..": {image: a}}', 'services[".."]'],
    ['services: {.git: {image: a}}', 'services[".git"]'],
    [`services: {${'a'.repeat(41)}: {image: a}}`, `services.${'a'.repeat(41)}`],
    ['services: {web: {image: ""}}', 'services.web.image'],
    ['services: {web: {image: 1}}', 'services.web.image'],
    ...[':', 'a:', '@sha256:', 'Nginx', 'a b', 'image;id', '$$(id)', 'a@sha256:0', 'obiente-x/y', 'a\\u0000b'].map(
      (image): Row => [`services: {web: {image: "${image}"}}`, 'services.web.image'],
    ),
    ['services: {web: {image: "127.0.0.1:5000/x"}}', 'services.web.image'],
    ['services: {web: {image: "-x"}}', 'services.web.image'],
    ['services: {web: {image: "localhost/x"}}', 'services.web.image'],
    ['services: {web: {image: "169.254.169.254/x"}}', 'services.web.image'],
    [`services: {${Array.from({ length: 51 }, (_, index) => `s${index}: {image: a}`).join(', ')}}`, 'services'],
    ['services: {a: {image: a, depends_on: [b]}, b: {image: b, depends_on: [a]}}', 'services.a.depends_on[0]'],
    [
      'services: {x: {image: a, depends_on: [a]}, a: {image: a, depends_on: [b]}, b: {image: b, depends_on: {a: {condition: service_started}}}}',
      'services.a.depends_on[0]',
    ],
    [
      'services: {a: {image: a, depends_on: {b: {condition: service_healthy}}}, b: {image: b, healthcheck: {disable: true}}}',
      'services.a.depends_on.b',
    ],
  ])('that says %s is refused', (text, field) => {
    expect(refusalOf(text).field).toBe(field);
  });

  it('is told the circle of its dependencies', () => {
    const text =
      'services: {a: {image: a, depends_on: [b]}, b: {image: b, depends_on: [c]}, c: {image: c, depends_on: [a]}}';
    expect(refusalOf(text).message).toContain('a → b → c → a');
  });

  it('is told a name that would do', () => {
    expect(refusalOf('services: {Plausible_DB: {image: a}}').message).toContain('(for example plausible-db)');
  });
});

describe('the words of a refusal', () => {
  it('are others for a key that Compose has than for one that it does not have', () => {
    const unsupported = refusalOf('services: {web: {image: a, cap_add: [ALL]}}').message;
    const unknown = refusalOf('services: {web: {image: a, enviroment: {}}}');
    expect(unsupported).toContain('not supported on this platform');
    expect(unknown.message).toContain('Compose has no key "enviroment" here; allowed is environment');
    expect(unknown.hint).toContain('environment');
  });

  it('never hold the value of a variable', () => {
    const secret = 'hunter2-SECRET';
    const rows = [
      'services: {web: {image: "${S}"}}',
      'services: {web: {image: "a:${S}/x"}}',
      'services: {web: {image: a, scale: "${S}"}}',
      'services: {web: {image: a, mem_limit: "${S}"}}',
      'services: {web: {image: a, user: "${S} x"}}',
      'services: {web: {image: a, restart: "${S}"}}',
      'services: {web: {image: a, ports: ["${S}:80"]}}',
      'services: {web: {image: a, volumes: ["${S}:/x"]}}',
      'services: {web: {image: a, volumes: [{type: "${S}", target: /x}]}}',
      'services: {web: {image: a, environment: ["${S}"]}}',
      'services: {web: {image: a, environment: ["${S}=1"]}}',
      'services: {web: {image: a, labels: ["traefik.${S}=1"]}}',
      'services: {web: {image: a, build: "/${S}"}}',
      'services: {web: {image: a, working_dir: "${S}"}}',
      'services: {web: {image: a, depends_on: ["${S}"]}}',
      'services: {web: {image: a, networks: ["${S}"]}}',
      'services: {web: {image: a, healthcheck: {interval: "${S}"}}}',
      'services: {web: {image: a, healthcheck: {test: ["${S}"]}}}',
      'services: {web: {image: a, environment: {X: "${NOT_GIVEN:?${S}}"}}}',
      'services: {web: {image: a, deploy: {update_config: {order: "${S}"}}}}',
      'services: {web: {image: a, privileged: "${S}"}}',
    ];
    for (const text of rows) {
      const { message, hint, field } = refusalOf(text, { S: secret });
      expect(`${message} ${hint} ${field}`, text).not.toContain(secret);
    }
  });
});
