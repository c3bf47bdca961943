import { Code, ConnectError, createClient, createRouterTransport, type HandlerContext } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { createControlTokenSigner, createControlTokenVerifier } from '../../adapters/tokens/control-token.ts';
import { createGatewayInterceptor } from '../../adapters/tokens/gateway-interceptor.ts';
import { generateControlKey, generateNodeKeys } from '../../adapters/tokens/keys.ts';
import { createNodeTokenSigner, createNodeTokenVerifier } from '../../adapters/tokens/node-token.ts';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { StreamerGatewayService } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import { createErrorInterceptor } from '../interceptors/errors.ts';
import { createJoinTokenCheck, createNodeAuthInterceptor, getCallingNode } from './node-auth.ts';

const NODE = 'node-a1b2c3d4';
const DEPLOYMENT = 'aaaaaaaa-0000-4000-8000-000000000003';

async function codeOf(call: Promise<unknown>): Promise<Code | 'answered'> {
  try {
    await call;
    return 'answered';
  } catch (error) {
    return ConnectError.from(error).code;
  }
}

describe('the internal service', () => {
  const keys = generateNodeKeys();
  const seen: string[] = [];
  const remember = async (_request: unknown, context: HandlerContext) => {
    seen.push(getCallingNode(context).nodeId);
    return {};
  };
  const verifier = createNodeTokenVerifier({
    findSigningJwk: async (id) => (id === NODE ? JSON.stringify(keys.signing.publicJwk) : undefined),
  });
  const interceptors = [
    createErrorInterceptor(createLog({ role: 'test', level: 'silent' })),
    createNodeAuthInterceptor({ verifier, holdsLease: async ({ epoch }) => epoch === 7 }),
  ];
  const transport = createRouterTransport((router) => {
    const handlers = { heartbeat: remember, reportReplicas: remember, enrolNode: async () => ({}) };
    router.service(ControlService, handlers, { interceptors });
  });
  const client = createClient(ControlService, transport);
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

  it('knows a node by its token, whatever the request says', async () => {
    const token = await createNodeTokenSigner(keys.signing.privateJwk, NODE).sign(7);
    await client.heartbeat({}, bearer(token));
    await client.reportReplicas({}, bearer(token));
    expect(seen).toEqual([NODE, NODE]);
  });

  it('hears a process that does not have the lease about the lease alone', async () => {
    const token = await createNodeTokenSigner(keys.signing.privateJwk, NODE).sign(6);
    expect(await codeOf(client.heartbeat({}, bearer(token)))).toBe('answered');
    expect(await codeOf(client.reportReplicas({}, bearer(token)))).toBe(Code.Unavailable);
    const ref = { deploymentId: DEPLOYMENT, revision: 1, service: 'app' };
    expect(await codeOf(client.fetchEnvironment(ref, bearer(token)))).toBe(Code.Unavailable);
  });

  it('refuses every call but the enrolment without a good token', async () => {
    const stranger = await createNodeTokenSigner(generateNodeKeys().signing.privateJwk, NODE).sign(7);
    for (const options of [{}, bearer(stranger), bearer('x')]) {
      const [context] = await Promise.allSettled([client.fetchContext({}, options)[Symbol.asyncIterator]().next()]);
      expect(context).toMatchObject({ reason: { code: Code.Unauthenticated } });
      const codes = await Promise.all(
        [
          client.heartbeat({}, options),
          client.reportReplicas({}, options),
          client.fetchEnvironment({ deploymentId: DEPLOYMENT, revision: 1, service: 'app' }, options),
        ].map(codeOf),
      );
      expect(codes).toEqual([Code.Unauthenticated, Code.Unauthenticated, Code.Unauthenticated]);
    }
    expect(await codeOf(client.enrolNode({}))).toBe('answered');
  });
});

describe('a gateway', () => {
  it('answers the control plane alone', async () => {
    const signer = createControlTokenSigner(generateControlKey().privateJwk);
    const audience = `streamer:${NODE}`;
    const verifier = createControlTokenVerifier({ getJwks: () => signer.publicJwks, audience });
    const interceptors = [createGatewayInterceptor(verifier)];
    const transport = createRouterTransport((router) => {
      router.service(StreamerGatewayService, { getObservability: async () => ({ json: '{}' }) }, { interceptors });
    });
    const client = createClient(StreamerGatewayService, transport);
    const call = async (header: string) => codeOf(client.getObservability({}, { headers: { authorization: header } }));
    expect(await call(`Bearer ${await signer.sign({ audience })}`)).toBe('answered');
    expect(await call(`Bearer ${await signer.sign({ audience: `node:${NODE}` })}`)).toBe(Code.Unauthenticated);
    expect(await call(await signer.sign({ audience }))).toBe(Code.Unauthenticated);
    expect(await codeOf(client.getObservability({}))).toBe(Code.Unauthenticated);
  });
});

describe('a join token', () => {
  it('is accepted when it is the one, and no part or other spelling of it', () => {
    const check = createJoinTokenCheck('0123456789abcdef');
    expect(() => check('0123456789abcdef')).not.toThrow();
    for (const wrong of ['', '0123456789abcde', '0123456789abcdef0', '0123456789ABCDEF', ' 0123456789abcdef']) {
      expect(() => check(wrong)).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
    }
  });
});
