import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { interpolateDocument } from '../../domain/compose/document.ts';
import * as rules from '../../domain/compose/key-rules.ts';
import { DomainError } from '../../domain/errors.ts';
import { checkSchema } from './compose-schema.ts';
import { parseCompose } from './parse-compose.ts';

const FOLDER = join(import.meta.dirname, 'schema');
const text = readFileSync(join(FOLDER, 'compose-spec.json'));

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly oneOf?: readonly Schema[];
  readonly items?: Schema;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

const schema: Schema = JSON.parse(text.toString());
const definition = (name: string): Schema => schema.$defs?.[name] ?? {};
const property = (of: Schema | undefined, name: string): Schema => of?.properties?.[name] ?? {};
const mapOf = (of: Schema): Schema => of.oneOf?.find((form) => form.properties ?? form.patternProperties) ?? {};
const anyMember = (of: Schema): Schema => Object.values(of.patternProperties ?? {})[0] ?? {};
const names = (...of: readonly Schema[]): string[] =>
  of.flatMap(({ properties }) => Object.keys(properties ?? {})).toSorted();

const container = definition('container_spec');
const workload = definition('workload_spec');
const deploy = definition('deployment');
const resources = property(deploy, 'resources');
const mount = mapOf(property(container, 'volumes').items ?? {});

describe('the schema of the specification', () => {
  it('is the official one, byte for byte', () => {
    const sum = createHash('sha256').update(text).digest('hex');
    expect(readFileSync(join(FOLDER, 'README.md'), 'utf8')).toContain(sum);
  });

  it.each([
    ['a file', rules.FILE_KEYS, names(schema)],
    ['a service', rules.SERVICE_KEYS, names(container, workload, definition('service'))],
    ['build', rules.BUILD_KEYS, names(mapOf(property(workload, 'build')))],
    ['deploy', rules.DEPLOY_KEYS, names(deploy)],
    ['resources', rules.RESOURCE_KEYS, names(resources)],
    ['limits', rules.LIMIT_KEYS, names(property(resources, 'limits'))],
    ['reservations', rules.RESERVATION_KEYS, names(property(resources, 'reservations'))],
    ['restart_policy', rules.RESTART_POLICY_KEYS, names(property(deploy, 'restart_policy'))],
    ['healthcheck', rules.HEALTH_KEYS, names(definition('healthcheck'))],
    ['a dependency', rules.DEPENDENCY_KEYS, names(anyMember(mapOf(property(workload, 'depends_on'))))],
    ['a port', rules.PORT_KEYS, names(mapOf(property(workload, 'ports').items ?? {}))],
    ['a mount', rules.MOUNT_KEYS, names(mount)],
    ['a mounted volume', rules.MOUNT_VOLUME_KEYS, names(property(mount, 'volume'))],
    ['a mounted tmpfs', rules.MOUNT_TMPFS_KEYS, names(property(mount, 'tmpfs'))],
    ['a volume', rules.VOLUME_KEYS, names(definition('volume'))],
    ['a network', rules.NETWORK_KEYS, names(definition('network'))],
    ['a service in a network', rules.SERVICE_NETWORK_KEYS, serviceNetworkNames()],
    ['logging', rules.LOGGING_KEYS, names(property(container, 'logging'))],
  ])('has no key of %s that is not decided upon', (_, decided, known) => {
    expect(known.length).toBeGreaterThan(1);
    expect(Object.keys(decided).toSorted()).toEqual(known);
  });
});

describe('the document about it', () => {
  it('names every key of a service', () => {
    const document = readFileSync(join(import.meta.dirname, '../../docs/compose.md'), 'utf8');
    const missing = Object.keys(rules.SERVICE_KEYS).filter((key) => !document.includes(`\`${key}`));
    expect(missing).toEqual([]);
  });
});

function serviceNetworkNames(): string[] {
  const network = anyMember(mapOf(property(container, 'networks')));
  return names(network.oneOf?.find((form) => form.properties) ?? network);
}

function refusal(raw: unknown): DomainError {
  try {
    checkSchema(interpolateDocument(raw, { S: 'hunter2' }));
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('accepted');
}

const web = (keys: object) => ({ services: { web: keys } });

describe('a file that the schema does not allow', () => {
  it.each([
    [web({ image: 1 }), 'services.web.image: found 1; allowed is a text'],
    [web({ image: ['$S'] }), 'services.web.image: found a list; allowed is a text'],
    [{ services: { web: null } }, 'services.web: found nothing; allowed is a map'],
    [{ services: [] }, 'services: found a list; allowed is a map'],
    [{ service: {} }, 'service: Compose has no key "service" here; allowed is a key that docs/compose.md lists'],
    [
      web({ imgae: 'x' }),
      'services.web.imgae: Compose has no key "imgae" here; allowed is a key that docs/compose.md lists',
    ],
    [
      web({ build: { contxt: '.' } }),
      'services.web.build.contxt: Compose has no key "contxt" here; allowed is a key that docs/compose.md lists',
    ],
    [web({ ports: [true] }), 'services.web.ports[0]: found true; allowed is a number, or a text, or a map'],
    [web({ ports: ['80', '80'] }), 'services.web.ports: items 0 and 1 are the same; allowed is each item once'],
    [
      web({ environment: { A: [1] } }),
      'services.web.environment.A: found a list; allowed is a text, or a number, or true or false, or nothing',
    ],
    [web({ depends_on: { a: {} } }), 'services.web.depends_on.a: "condition" is not set; allowed is a map that has it'],
    [
      web({ depends_on: { a: { condition: '$S' } } }),
      'services.web.depends_on.a.condition: found "$S" (with the variables given); allowed is one of service_started, service_healthy, service_completed_successfully',
    ],
    [
      web({ deploy: { update_config: { order: 'x' } } }),
      'services.web.deploy.update_config.order: found "x"; allowed is one of start-first, stop-first',
    ],
    [web({ cpu_count: -1 }), 'services.web.cpu_count: found -1; allowed is 0 or more'],
    [
      web({ container_name: '-' }),
      'services.web.container_name: found "-"; allowed is what the Compose specification has for it',
    ],
    [
      web({ volumes: [{ type: 'x' }] }),
      'services.web.volumes[0].type: found "x"; allowed is one of bind, volume, tmpfs, cluster, npipe, image',
    ],
  ])('%j is refused in words', (raw, message) => {
    expect(refusal(raw).message).toBe(message);
  });

  it('is refused although the translation has no use for what is wrong', () => {
    const parse = (lines: string) => parseCompose(`services: {web: {image: a, ${lines}}}`, { variables: {} });
    expect(() => parse('deploy: {rollback_config: {order: first}}')).toThrow(
      'services.web.deploy.rollback_config.order',
    );
    expect(() => parse('develop: {watch: [{path: a}]}')).toThrow('services.web.develop.watch[0]: "action" is not set');
    expect(() => parse('labels: {a: [b]}')).toThrow('services.web.labels.a');
  });

  it('is refused for the first of its faults, not for a consequence', () => {
    expect(refusal(web({ environment: { A: { b: 1 } }, ports: 'x' })).field).toMatch(
      /^services\.web\.(environment\.A|ports)$/,
    );
  });
});
