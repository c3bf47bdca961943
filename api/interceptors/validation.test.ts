import { create } from '@bufbuild/protobuf';
import { createValidator } from '@bufbuild/protovalidate';
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../domain/errors.ts';
import {
  CreateDeploymentRequestSchema,
  GetDeploymentRequestSchema,
} from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { ListProjectsRequestSchema } from '../../gen/obiente/cloud/v1/projects_pb.ts';
import { validate } from './validation.ts';

const validator = createValidator();

function refusal(check: () => void): { field: string | undefined; message: string; code: string } {
  try {
    check();
  } catch (error) {
    if (error instanceof DomainError) return { field: error.field, message: error.message, code: error.code };
    throw error;
  }
  throw new Error('the message was accepted');
}

type Init = Parameters<typeof create<typeof CreateDeploymentRequestSchema>>[1];

function refusedCreation(changes: Init): ReturnType<typeof refusal> {
  const spec = { source: { case: 'image', value: { reference: 'nginx' } } } as const;
  const valid = {
    idempotencyKey: 'key-00000001',
    projectId: '00000000-0000-4000-8000-000000000000',
    name: 'app',
    spec,
  };
  const message = create(CreateDeploymentRequestSchema, { ...valid, ...changes } as typeof valid);
  return refusal(() => validate(validator, CreateDeploymentRequestSchema, message));
}

function withSpec(spec: object): ReturnType<typeof refusal> {
  return refusedCreation({ spec: { source: { case: 'image', value: { reference: 'nginx' } }, ...spec } });
}

describe('validation', () => {
  it.each<[string, () => ReturnType<typeof refusal>]>([
    ['name', () => refusedCreation({ name: '' })],
    ['name', () => refusedCreation({ name: 'a' })],
    ['name', () => refusedCreation({ name: 'a'.repeat(10_000) })],
    ['name', () => refusedCreation({ name: 'Bad_Name' })],
    ['name', () => refusedCreation({ name: '-rf' })],
    ['name', () => refusedCreation({ name: 'a\nb' })],
    ['name', () => refusedCreation({ name: 'аdmin' })],
    ['idempotency_key', () => refusedCreation({ idempotencyKey: 'short' })],
    ['project_id', () => refusedCreation({ projectId: 'not-a-uuid' })],
    ['spec', () => refusedCreation({ spec: undefined as never })],
    ['spec.port', () => withSpec({ port: 0 })],
    ['spec.port', () => withSpec({ port: 70_000 })],
    ['spec.replicas', () => withSpec({ replicas: 10_001 })],
    ['spec.limits.memory_bytes', () => withSpec({ limits: { memoryBytes: 1000n } })],
    ['spec.limits.cpu_cores', () => withSpec({ limits: { cpuCores: Number.NaN } })],
    ['spec.environment[0].name', () => withSpec({ environment: [{ name: 'A=B' }] })],
    ['spec.environment[0].value', () => withSpec({ environment: [{ name: 'A', value: 'x\0' }] })],
    ['spec.environment[1].value', () => withSpec({ environment: [{ name: 'A' }, { name: 'B', value: '\ud800' }] })],
    ['spec.command[1]', () => withSpec({ command: ['sh', '\udc00x'] })],
    ['spec.environment[0].value', () => withSpec({ environment: [{ name: 'A', value: 'x'.repeat(70_000) }] })],
    ['spec.health_check.retries', () => withSpec({ healthCheck: { kind: { case: 'none', value: {} }, retries: 0 } })],
  ])('names the field, what was found and what is allowed: %s', (field, check) => {
    const { code, field: named, message } = check();
    expect({ code, named }).toEqual({ code: 'INVALID_ARGUMENT', named: field });
    expect(message).toMatch(/^\S+: (found|nothing is set).*; allowed is ./s);
    expect(message.length).toBeLessThan(400);
  });

  it('reads like this', () => {
    expect(withSpec({ port: 0 }).message).toMatchInlineSnapshot(`"spec.port: found 0; allowed is 1 to 65535"`);
    expect(refusedCreation({ name: 'Bad' }).message).toMatchInlineSnapshot(
      `"name: found "Bad"; allowed is lower-case letters, digits and hyphens, a letter first, no hyphen last"`,
    );
    expect(refusedCreation({ name: '' }).message).toMatchInlineSnapshot(
      `"name: found ""; allowed is at least 2 characters (and 1 more)"`,
    );
    expect(withSpec({ environment: [{ name: 'A=B' }] }).message).toMatchInlineSnapshot(
      `"spec.environment[0].name: found "A=B"; allowed is letters, digits and underscores, no digit first"`,
    );
    expect(withSpec({ healthCheck: {} }).message).toMatchInlineSnapshot(
      `"spec.health_check.kind: nothing is set; allowed is one of automatic, http, command, none"`,
    );
    const healthCheck = { kind: { case: 'automatic', value: {} } };
    const interval = { seconds: 0n, nanos: 50_000_000 };
    expect(withSpec({ healthCheck: { ...healthCheck, interval } }).message).toMatchInlineSnapshot(
      `"spec.health_check.interval: found 0.05 s; allowed is 0.1 s to 300 s"`,
    );
    expect(withSpec({ limits: { memoryBytes: 1n } }).message).toMatchInlineSnapshot(
      `"spec.limits.memory_bytes: found 1 bytes; allowed is 6291456 to 17592186044416 bytes"`,
    );
    expect(withSpec({ restartPolicy: 99 }).message).toMatchInlineSnapshot(
      `"spec.restart_policy: found 99; allowed is one of RESTART_POLICY_ALWAYS, RESTART_POLICY_ON_FAILURE, RESTART_POLICY_NEVER"`,
    );
    const environment = Array.from({ length: 1001 }, (_, index) => ({ name: `A${index}` }));
    expect(withSpec({ environment }).message).toMatchInlineSnapshot(
      `"spec.environment: found 1001 items; allowed is at most 1000 items"`,
    );
    expect(refusedCreation({ spec: undefined as never }).message).toMatchInlineSnapshot(
      `"spec: nothing is set; allowed is a value"`,
    );
    expect(refusedCreation({ projectId: '' }).message).toMatchInlineSnapshot(
      `"project_id: found ""; allowed is a uuid"`,
    );
    expect(withSpec({ source: { case: 'image', value: { reference: '' } } }).message).toMatchInlineSnapshot(
      `"spec.image.reference: found ""; allowed is at least 1 character"`,
    );
  });

  it('never repeats the value of a variable', () => {
    const secret = 's3cr3t-'.repeat(12_000);
    expect(withSpec({ environment: [{ name: 'A', value: secret }] }).message).not.toContain('s3cr3t');
  });

  it('accepts what is valid', () => {
    const id = '00000000-0000-4000-8000-000000000000';
    validate(validator, GetDeploymentRequestSchema, create(GetDeploymentRequestSchema, { deploymentId: id }));
    validate(validator, ListProjectsRequestSchema, create(ListProjectsRequestSchema, { organizationId: id }));
  });
});
