import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseCompose } from './parse-compose.ts';

const FIXTURES = join(import.meta.dirname, 'fixtures');
const variables: Record<string, string> = JSON.parse(read('variables.json'));

function read(path: string): string {
  return readFileSync(join(FIXTURES, path), 'utf8');
}

function namesIn(folder: string): string[] {
  return readdirSync(join(FIXTURES, folder)).map((name) => basename(name, '.yaml'));
}

/** What each file that cannot run here is refused for. */
const REFUSED: Readonly<Record<string, readonly [field: string, message: string]>> = {
  'development-override': [
    'file',
    'file: line 4, column 12: a tag that is not supported; allowed is YAML without tags such as !reset, !override and !!binary',
  ],
  'dns-server': [
    'services.pihole.ports[1]',
    'services.pihole.ports[1]: a port that is not TCP; allowed is TCP: the ingress carries HTTP, and nothing else is published',
  ],
  'git-with-host-folders': [
    'services.server.volumes[0]',
    'services.server.volumes[0]: a folder of the node cannot be mounted; allowed is a named volume, or files that the image brings',
  ],
  'home-automation': [
    'services.homeassistant.privileged',
    'services.homeassistant.privileged: not supported on this platform: it gives a container every right over its node; allowed is a file without it, or false; also refused: services.homeassistant.network_mode',
  ],
  'labels-for-the-ingress': [
    'services.whoami.labels[0]',
    'services.whoami.labels[0]: a reserved label, by which the ingress or the platform would be steered; allowed is a file without it',
  ],
  'media-server-with-gpu': [
    'services.jellyfin.deploy.resources.reservations.devices',
    'services.jellyfin.deploy.resources.reservations.devices: not supported on this platform: containers get no devices of a node; allowed is a file without it',
  ],
  'migration-job': [
    'services.migrate.restart',
    'services.migrate.restart: one-off jobs are not supported: every service runs on, and is restarted when it exits; allowed is always, unless-stopped or on-failure; also refused: services.web.depends_on.migrate.condition',
  ],
  'missing-variables': [
    'services.app.image',
    'services.app.image: variable TAG has no value (which version of the shop), nor have SMTP_PASSWORD; allowed is a value from you, or a default such as ${TAG:-…}',
  ],
  'names-with-underscores': [
    'services.plausible_db',
    'services.plausible_db: found the name "plausible_db"; allowed is lower-case letters, digits and dashes, 40 at most (for example plausible-db)',
  ],
  'photos-with-host-folders': [
    'services.photos-server.container_name',
    'services.photos-server.container_name: not supported on this platform: containers are named by the platform, for there may be several; allowed is the service name as its hostname; also refused: services.photos-server.env_file, services.photos-server.volumes[0]',
  ],
  'proxy-with-docker-socket': [
    'services.proxy.volumes[0]',
    'services.proxy.volumes[0]: a folder of the node cannot be mounted; allowed is a named volume, or files that the image brings',
  ],
  'search-cluster': [
    'services.opensearch-node1.ulimits',
    'services.opensearch-node1.ulimits: not supported on this platform: this setting of the kernel is the same for every container; allowed is a file without it; also refused: services.opensearch-node1.environment[0]',
  ],
  'secrets-in-files': [
    'secrets',
    'secrets: not supported on this platform: only the text of the Compose file is there, no other file; allowed is environment, with ${NAME} for what you give with the file; also refused: services.db.secrets',
  ],
  'shared-proxy-network': [
    'networks.proxy.external',
    'networks.proxy.external: not supported on this platform: an application runs in one private network of its own; allowed is a file without it, or false',
  ],
  'slip-of-a-key': [
    'services.web.enviroment',
    'services.web.enviroment: Compose has no key "enviroment" here; allowed is environment',
  ],
  'template-of-another-tool': ['file', 'file: line 3, column 26: no YAML from here on; allowed is YAML 1.2'],
  'twice-the-same-key': [
    'services.web.image',
    'services.web.image: the key is there twice, on lines 3 and 7; allowed is each key once',
  ],
  vpn: [
    'services.wireguard.cap_add',
    'services.wireguard.cap_add: not supported on this platform: a container gets no rights beyond those of every other; allowed is a file without it; also refused: services.wireguard.sysctls, services.wireguard.ports[0]',
  ],
};

describe('a file as well-known applications have it', () => {
  it.each(namesIn('supported'))('becomes an application: %s', (name) => {
    expect(parseCompose(read(`supported/${name}.yaml`), { variables })).toMatchSnapshot();
  });

  it.each(namesIn('refused'))('is refused where it needs more than that: %s', (name) => {
    const [field, message] = REFUSED[name] ?? [];
    expect(() => parseCompose(read(`refused/${name}.yaml`), { variables })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', field, message }),
    );
  });

  it('names no file that is not there', () => {
    expect(Object.keys(REFUSED).toSorted()).toEqual(namesIn('refused').toSorted());
  });
});
