import { describe, expect, it } from 'vitest';
import type { WantedContainer } from '../../../domain/container.ts';
import { containerName, networkName, replicaLabels } from '../../../domain/naming.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS, PLAIN_CONTAINER } from '../../../domain/spec.ts';
import { parsePinnedService } from './parse-service.ts';
import { toServiceSpec } from './service-spec.ts';

const OWNER = { instance: 'abcd1234', nodeId: 'a'.repeat(25) };
const OTHER = 'b'.repeat(25);
const DEPLOYMENT = '3e262a99-531d-8e6e-b993-6caa4f879142';
const PROJECT = '4e262a99-531d-8e6e-b993-6caa4f879142';

const replica = { instance: OWNER.instance, deploymentId: DEPLOYMENT, revision: 3, index: 1 };
const labels = replicaLabels({
  ...{ ...replica, projectId: PROJECT, service: 'web', serviceName: 'web' },
  operationId: '5e262a99-531d-8e6e-b993-6caa4f879142',
});
const plain: WantedContainer = {
  ...{ name: containerName(replica), imageId: `sha256:${'0'.repeat(64)}`, labels, environment: { SECRET: 'hidden' } },
  ...{ command: [], port: 8080, limits: DEFAULT_LIMITS, restartPolicy: 'always', healthCheck: DEFAULT_HEALTH_CHECK },
  ...{ settings: PLAIN_CONTAINER, network: networkName(OWNER.instance, PROJECT), alias: 'web' },
};
const full: WantedContainer = {
  ...plain,
  command: ['serve', '--all'],
  healthCheck: { ...DEFAULT_HEALTH_CHECK, probe: { kind: 'command', command: ['check'] } },
  settings: {
    ...{ ...PLAIN_CONTAINER, entrypoint: ['/bin/sh'], user: '1000', workingDir: '/srv', init: true, readOnly: true },
    ...{ stopGraceMs: 5_000, tmpfs: [{ path: '/scratch', sizeBytes: 1024 }] },
  },
  volumes: [{ name: 'obiente-abcd1234-vol-1', path: '/data', readOnly: false }],
  names: { own: 'web.cohort-1', lookUp: { prices: 'prices.cohort-1' } },
};

/** As it comes out of an envelope. */
function aSpec(wanted: WantedContainer = plain, nodeId = OWNER.nodeId) {
  return JSON.parse(JSON.stringify(toServiceSpec(wanted, { 'of.image': 'x' }, nodeId)));
}

describe('a service that a worker wants made', () => {
  it('is taken as the platform makes it, whatever of that is in it', () => {
    for (const wanted of [plain, full, { ...plain, port: null }, { ...full, restartPolicy: 'never' as const }]) {
      expect(parsePinnedService(aSpec(wanted), OWNER)).toEqual(aSpec(wanted));
    }
  });

  // biome-ignore lint/suspicious/noExplicitAny: each change breaks the shape
  const changes: Record<string, (spec: any) => void> = {
    'a pin to another host': (spec) => {
      spec.TaskTemplate.Placement.Constraints = [`node.id==${OTHER}`];
    },
    'no pin': (spec) => {
      spec.TaskTemplate.Placement.Constraints = [];
    },
    'another constraint beside': (spec) => spec.TaskTemplate.Placement.Constraints.push('node.role==manager'),
    'a label of another host': (spec) => {
      spec.Labels['cloud.obiente.swarm_node'] = OTHER;
    },
    'a label of another installation': (spec) => {
      spec.Labels['cloud.obiente.instance'] = 'another1';
    },
    'a container of another installation': (spec) => {
      spec.TaskTemplate.ContainerSpec.Labels['cloud.obiente.instance'] = 'another1';
    },
    'a name that is not its own': (spec) => {
      spec.Name = 'stack_proxy';
    },
    'a network of somebody else': (spec) => {
      spec.TaskTemplate.Networks = [{ Target: 'ingress', Aliases: [] }];
    },
    'a task on each host': (spec) => {
      spec.Mode = { Global: {} };
    },
    'tasks at once': (spec) => {
      spec.Mode.Replicated.Replicas = 50;
    },
    'a port on all hosts': (spec) => {
      spec.EndpointSpec.Ports[0].PublishMode = 'ingress';
    },
    'a port of its choice': (spec) => {
      spec.EndpointSpec.Ports[0].PublishedPort = 443;
    },
    'a secret of the swarm': (spec) => {
      spec.TaskTemplate.ContainerSpec.Secrets = [{ SecretID: 'x', SecretName: 'x' }];
    },
    'a config of the swarm': (spec) => {
      spec.TaskTemplate.ContainerSpec.Configs = [{ ConfigID: 'x', ConfigName: 'x' }];
    },
    'a folder of the host': (spec) => spec.TaskTemplate.ContainerSpec.Mounts.push({ Type: 'bind', Source: '/' }),
    'another capability': (spec) => spec.TaskTemplate.ContainerSpec.CapabilityAdd.push('SYS_ADMIN'),
    'another kind of task': (spec) => {
      spec.TaskTemplate.Runtime = 'plugin';
    },
  };

  for (const [what, change] of Object.entries(changes)) {
    it(`is refused with ${what}, without its variables being told`, () => {
      const spec = aSpec();
      change(spec);
      const refusal = (() => {
        try {
          parsePinnedService(spec, OWNER);
        } catch (error) {
          return error;
        }
      })();
      expect(refusal).toMatchObject({ code: 'PERMISSION_DENIED' });
      expect(String(refusal)).not.toContain('hidden');
    });
  }

  it('is refused when it is none at all', () => {
    for (const value of [null, [], 'x', {}]) expect(() => parsePinnedService(value, OWNER)).toThrow('is not allowed');
  });
});
