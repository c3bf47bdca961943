import { randomUUID } from 'node:crypto';
import { create, type DescField, type DescMessage, type DescMethod, type Message } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PERMISSIONS } from '../domain/permissions.ts';
import { CreateDeploymentRequestSchema } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { DeploymentSpecSchema } from '../gen/obiente/cloud/v1/spec_pb.ts';
import { ControlService } from '../gen/obiente/internal/v1/control_pb.ts';
import { type ApiRig, OPERATOR, startApiRig } from '../test/support/api-rig.ts';
import { refusalOf } from '../test/support/refusal.ts';
import { PUBLIC_SERVICES } from './router.ts';

const OWNED_ID = /^(organization|project|deployment|operation)_id$/;

interface Rpc {
  readonly service: (typeof PUBLIC_SERVICES)[number];
  readonly method: DescMethod;
}

const RPCS: readonly (readonly [string, Rpc])[] = PUBLIC_SERVICES.flatMap((service) =>
  service.methods.map((method) => [`${service.typeName}/${method.name}`, { service, method }] as const),
);

/** RPCs whose requests name something that belongs to an organization, and that its members may call. */
const OWNED = RPCS.filter(([name, { method }]) => idFields(method.input).length > 0 && !isForOperators(name));

/** RPCs that only operators of the platform may call. */
const OF_OPERATORS = RPCS.filter(([name]) => isForOperators(name));

function isForOperators(name: string): boolean {
  return PERMISSIONS[name]?.resource.kind === 'platform';
}

let rig: ApiRig;
/** Ids that exist and belong to alice. */
let ids: Record<string, string>;

beforeAll(async () => {
  rig = await startApiRig();
  const { organizationId, projectId, deployments } = await rig.user('alice');
  const spec = create(DeploymentSpecSchema, { source: { case: 'image', value: { reference: 'nginx:1' } } });
  const creation = create(CreateDeploymentRequestSchema, {
    idempotencyKey: randomUUID(),
    projectId,
    name: 'app',
    spec,
  });
  const { deployment } = await deployments.createDeployment(creation);
  ids = {
    organization_id: organizationId,
    project_id: projectId,
    deployment_id: deployment?.id ?? '',
    operation_id: deployment?.operation?.id ?? '',
  };
  await rig.user('mallory');
});
afterAll(() => rig.stop());

describe('every RPC', () => {
  it('has an entry in the table of permissions, and the table no others', () => {
    expect(RPCS.map(([name]) => name).sort()).toEqual(Object.keys(PERMISSIONS).sort());
  });

  it.each(RPCS)('refuses a caller without a token: %s', async (_, rpc) => {
    expect(
      await refusalOf(
        call(
          rpc,
          '',
          aRequest(rpc, () => randomUUID()),
        ),
      ),
    ).toMatchObject({
      ...{ code: 'Unauthenticated', error: 'UNAUTHENTICATED' },
    });
  });

  it.each(RPCS)('refuses a token that its issuer would not know: %s', async (_, rpc) => {
    const refusal = await refusalOf(
      call(
        rpc,
        'expired',
        aRequest(rpc, () => randomUUID()),
      ),
    );
    expect(refusal.code).toBe('Unauthenticated');
  });

  it.each(OWNED)("answers for what is somebody else's exactly as for what does not exist: %s", async (_, rpc) => {
    const foreign = await refusalOf(
      call(
        rpc,
        'mallory',
        aRequest(rpc, (field) => ids[field] ?? ''),
      ),
    );
    const unknown = await refusalOf(
      call(
        rpc,
        'mallory',
        aRequest(rpc, () => randomUUID()),
      ),
    );
    expect(foreign).toMatchObject({ code: 'NotFound', error: 'NOT_FOUND' });
    expect(foreign).toEqual(unknown);
  });

  it.each(OWNED.filter(([, { method }]) => idFields(method.input).length > 1))(
    "does not let an id of the caller's own cover one of somebody else: %s",
    async (_, rpc) => {
      const { organizationId } = await rig.user('mallory');
      const mixed = (field: string) => (field === 'organization_id' ? organizationId : (ids[field] ?? ''));
      expect(await refusalOf(call(rpc, 'mallory', aRequest(rpc, mixed)))).toMatchObject({ code: 'NotFound' });
    },
  );

  it.each(OF_OPERATORS)(
    'for operators is refused to everybody else alike, whatever the request names: %s',
    async (_, rpc) => {
      const refusals = [];
      for (const idOf of [(field: string) => ids[field] ?? '', () => randomUUID()]) {
        for (const user of ['alice', 'mallory']) refusals.push(await refusalOf(call(rpc, user, aRequest(rpc, idOf))));
      }
      for (const refusal of refusals) expect(refusal).toEqual(refusals[0]);
      expect(refusals[0]).toMatchObject({ code: 'PermissionDenied', error: 'PERMISSION_DENIED' });
    },
  );

  it.each([...OWNED, ...OF_OPERATORS.filter(([, { method }]) => idFields(method.input).length > 0)])(
    'refuses an id that is none: %s',
    async (name, rpc) => {
      for (const text of ['x', "'; drop table users; --", '00000000-0000-4000-8000-00000000000\0']) {
        expect(
          (
            await refusalOf(
              call(
                rpc,
                isForOperators(name) ? OPERATOR : 'alice',
                aRequest(rpc, () => text),
              ),
            )
          ).code,
        ).toBe('InvalidArgument');
      }
    },
  );

  it.each(RPCS.filter(([, { method }]) => method.input.fields.some(({ name }) => name === 'idempotency_key')))(
    'that changes something refuses to do so without a key: %s',
    async (name, rpc) => {
      const { organizationId } = await rig.user('alice');
      const message = aRequest(rpc, (field) => ids[field] ?? organizationId);
      setField(message, rpc.method.input, ['idempotency_key'], '');
      const refusal = await refusalOf(call(rpc, isForOperators(name) ? OPERATOR : 'alice', message));
      expect(refusal).toMatchObject({ code: 'InvalidArgument', field: 'idempotency_key' });
    },
  );

  it("of the nodes' service refuses a caller who is no node", async () => {
    for (const method of ControlService.methods.filter(({ name }) => !['EnrolNode', 'JoinNode'].includes(name))) {
      const refusal = await refusalOf(
        call({ service: ControlService as never, method }, 'alice', create(method.input)),
      );
      expect(refusal.code).toBe('Unauthenticated');
    }
  });
});

/** Paths of proto names to the ids of a request. */
function idFields(schema: DescMessage, depth = 0): string[][] {
  if (depth > 3) return [];
  return schema.fields.flatMap((field: DescField) => {
    if (field.fieldKind === 'message') return idFields(field.message, depth + 1).map((path) => [field.name, ...path]);
    return OWNED_ID.test(field.name) ? [[field.name]] : [];
  });
}

/** A request that is valid but for whose ids it holds. */
function aRequest({ method }: Rpc, idOf: (field: string) => string): Message {
  const message = create(method.input) as Message;
  for (const path of idFields(method.input)) setField(message, method.input, path, idOf(path.at(-1) ?? ''));
  for (const { name } of method.input.fields) {
    if (name === 'idempotency_key') setField(message, method.input, [name], randomUUID());
    if (name === 'name' && !method.name.startsWith('List')) setField(message, method.input, [name], 'some-name');
    if (name === 'host') setField(message, method.input, [name], 'ghcr.io');
    if (name === 'username') setField(message, method.input, [name], 'robot');
    if (name === 'password') setField(message, method.input, [name], 'a password');
    if (name === 'node_id') setField(message, method.input, [name], 'node-00000001');
    if (name === 'spec') {
      const spec = create(DeploymentSpecSchema, { source: { case: 'image', value: { reference: 'nginx:1' } } });
      Object.assign(message, { spec });
    }
  }
  return message;
}

function setField(message: Message, schema: DescMessage, [name, ...rest]: string[], value: string): void {
  const field = schema.fields.find((candidate) => candidate.name === name);
  if (!field) throw new Error(`${schema.typeName} has no field ${name}`);
  const reflected = reflect(schema, message);
  if (field.fieldKind !== 'message') {
    reflected.set(field, value);
    return;
  }
  const inner = create(field.message) as Message;
  setField(inner, field.message, rest, value);
  reflected.set(field, reflect(field.message, inner));
}

/** Calls an RPC of whatever kind. */
function call({ service, method }: Rpc, token: string, message: Message): Promise<unknown> | AsyncIterable<unknown> {
  const client = rig.clientOf(service, token) as unknown as Record<string, (request: unknown) => Promise<unknown>>;
  const rpc = client[method.localName];
  if (!rpc) throw new Error(`no method ${method.localName}`);
  return rpc(method.methodKind === 'client_streaming' ? inStream(message) : message);
}

async function* inStream(message: Message) {
  yield message;
}
