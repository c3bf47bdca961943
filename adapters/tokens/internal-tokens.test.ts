import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { createControlTokenSigner, createControlTokenVerifier } from './control-token.ts';
import { createImageTokenSigner, createImageTokenVerifier } from './image-token.ts';
import { createInternalSigner } from './internal-token.ts';
import { generateControlKey, generateNodeKeys, importPrivate, type Jwk } from './keys.ts';
import { createNodeTokenSigner, createNodeTokenVerifier } from './node-token.ts';
import { createSwarmTokenSigner, createSwarmTokenVerifier } from './swarm-token.ts';

const START_MS = 1_800_000_000_000;
const NODE = 'node-a1b2c3d4';
const UNAUTHENTICATED = expect.objectContaining({ code: 'UNAUTHENTICATED' });

function at(offsetMs: number): () => Date {
  return () => new Date(START_MS + offsetMs);
}

describe('a control token', () => {
  const control = generateControlKey();
  const signer = createControlTokenSigner(control.privateJwk, at(0));
  const audience = `node:${NODE}`;
  const verifierAt = (offsetMs: number, jwks: string | undefined = signer.publicJwks, own = audience) =>
    createControlTokenVerifier({ getJwks: () => jwks, audience: own, now: at(offsetMs) });

  it('is accepted by the gateway that it is for', async () => {
    const token = await signer.sign({ audience });
    await expect(verifierAt(0).verify(token)).resolves.toBeUndefined();
    await expect(verifierAt(299_000).verify(token)).resolves.toBeUndefined();
  });

  it('is refused by every other gateway, of the same node too', async () => {
    const token = await signer.sign({ audience });
    for (const own of ['node:node-b1b2c3d4', `streamer:${NODE}`]) {
      await expect(verifierAt(0, signer.publicJwks, own).verify(token)).rejects.toEqual(UNAUTHENTICATED);
    }
  });

  it('is refused after 5 min', async () => {
    await expect(verifierAt(311_000).verify(await signer.sign({ audience }))).rejects.toThrow('it has expired');
  });

  it('is refused from another key, and while no keys are known', async () => {
    const token = await signer.sign({ audience });
    const other = createControlTokenSigner(generateControlKey().privateJwk).publicJwks;
    for (const jwks of [other, '', 'html', '{}', '{"keys":[]}']) {
      await expect(verifierAt(0, jwks).verify(token)).rejects.toEqual(UNAUTHENTICATED);
    }
    const unknown = createControlTokenVerifier({ getJwks: () => undefined, audience, now: at(0) });
    await expect(unknown.verify(token)).rejects.toThrow('not known yet');
  });

  it('is refused after 5 min whatever expiry it names itself', async () => {
    const key = importPrivate(control.privateJwk);
    if (!key) throw new Error('no key');
    const issuedAt = START_MS / 1000;
    const token = await new SignJWT({ sub: 'control', iss: 'obiente-control', aud: audience, iat: issuedAt })
      .setProtectedHeader({ alg: 'ES256', typ: 'obiente-control+jwt', kid: control.publicJwk.kid ?? '' })
      .setExpirationTime(issuedAt + 86_400)
      .sign(key);
    await expect(verifierAt(0).verify(token)).resolves.toBeUndefined();
    await expect(verifierAt(320_000).verify(token)).rejects.toEqual(UNAUTHENTICATED);
  });

  it.each([
    ['another type', { type: 'obiente-node+jwt', issuer: 'obiente-control' }],
    ['the type of a user token', { type: 'at+jwt', issuer: 'obiente-control' }],
    ['another issuer', { type: 'obiente-control+jwt', issuer: NODE }],
  ])('is refused with %s, though the key is the right one', async (_, claims) => {
    const sign = createInternalSigner(control.privateJwk, at(0));
    const token = await sign({ subject: 'control', audience, ...claims });
    await expect(verifierAt(0).verify(token)).rejects.toEqual(UNAUTHENTICATED);
  });

  it('tells no gateway the private key', () => {
    const [published] = JSON.parse(signer.publicJwks).keys;
    expect(published).toEqual(control.publicJwk);
    expect(published).not.toHaveProperty('d');
  });
});

describe('a node token', () => {
  const keys = generateNodeKeys();
  const signer = createNodeTokenSigner(keys.signing.privateJwk, NODE, at(0));
  const enrolled = new Map<string, Jwk>([
    [NODE, keys.signing.publicJwk],
    ['node-other-1', generateNodeKeys().signing.publicJwk],
  ]);
  const verifierAt = (offsetMs: number) =>
    createNodeTokenVerifier({
      findSigningJwk: async (nodeId) => {
        const found = enrolled.get(nodeId);
        return found && JSON.stringify(found);
      },
      now: at(offsetMs),
    });

  it('says which node speaks, and under which epoch of its lease', async () => {
    expect(await verifierAt(0).verify(await signer.sign(7))).toEqual({ nodeId: NODE, epoch: 7 });
  });

  it('cannot speak for another node', async () => {
    const forged = await createNodeTokenSigner(keys.signing.privateJwk, 'node-other-1', at(0)).sign(7);
    await expect(verifierAt(0).verify(forged)).rejects.toThrow('token refused: its signature is not valid');
  });

  it('is refused in the same words from a node that nobody knows', async () => {
    const stranger = await createNodeTokenSigner(keys.signing.privateJwk, 'node-stranger', at(0)).sign(7);
    await expect(verifierAt(0).verify(stranger)).rejects.toThrow('token refused: its signature is not valid');
  });

  it('is refused after 5 min', async () => {
    await expect(verifierAt(311_000).verify(await signer.sign(7))).rejects.toEqual(UNAUTHENTICATED);
  });

  it('is refused by gateways, as control tokens are by the api', async () => {
    const control = createControlTokenSigner(keys.signing.privateJwk, at(0));
    const gateway = createControlTokenVerifier({
      getJwks: () => control.publicJwks,
      audience: 'obiente-control',
      now: at(0),
    });
    await expect(gateway.verify(await signer.sign(7))).rejects.toEqual(UNAUTHENTICATED);
    const asControl = await control.sign({ audience: 'obiente-control' });
    await expect(verifierAt(0).verify(asControl)).rejects.toEqual(UNAUTHENTICATED);
  });

  it('is refused in any spelling but the canonical one, and without asking for a key when it is no token', async () => {
    const token = await signer.sign(7);
    for (const spelling of [`${token}=`, `${token}\n`, ` ${token}`, '', 'a.b.c', 'x']) {
      await expect(verifierAt(0).verify(spelling)).rejects.toThrow('it is malformed');
    }
  });
});

describe('an image token', () => {
  const control = generateControlKey();
  const signer = createImageTokenSigner(control.privateJwk, at(0));
  const jwks = createControlTokenSigner(control.privateJwk).publicJwks;
  const claim = { deploymentId: 'a-deployment', imageId: `sha256:${'a'.repeat(64)}` };
  const sign = () => signer.sign({ ...claim, from: NODE, to: 'node-b1b2c3d4' });
  const verifierOf = (nodeId: string, offsetMs = 0) =>
    createImageTokenVerifier({ getJwks: () => jwks, nodeId, now: at(offsetMs) });

  it('says which image its node gives away', async () => {
    await expect(verifierOf(NODE).verify(await sign())).resolves.toEqual(claim);
  });

  it('is refused by another node, and after 5 min', async () => {
    await expect(verifierOf('node-c1b2c3d4').verify(await sign())).rejects.toEqual(UNAUTHENTICATED);
    await expect(verifierOf(NODE, 311_000).verify(await sign())).rejects.toThrow('it has expired');
  });

  it('and a control token are no good in place of each other', async () => {
    const audience = `node:${NODE}`;
    const asControl = createControlTokenVerifier({ getJwks: () => jwks, audience, now: at(0) });
    await expect(asControl.verify(await sign())).rejects.toEqual(UNAUTHENTICATED);
    const token = await createControlTokenSigner(control.privateJwk, at(0)).sign({ audience });
    await expect(verifierOf(NODE).verify(token)).rejects.toEqual(UNAUTHENTICATED);
  });
});

describe('a swarm token', () => {
  const control = generateControlKey();
  const signer = createSwarmTokenSigner(control.privateJwk, at(0));
  const jwks = createControlTokenSigner(control.privateJwk).publicJwks;
  const claim = { nodeId: 'node-b1b2c3d4', swarmNodeId: 'a'.repeat(25), epoch: 7 };
  const sign = () => signer.sign({ ...claim, manager: NODE });
  const verifierOf = (nodeId: string, offsetMs = 0) =>
    createSwarmTokenVerifier({ getJwks: () => jwks, nodeId, now: at(offsetMs) });

  it('says who asks, of which host, and under which epoch of its lease', async () => {
    await expect(verifierOf(NODE).verify(await sign())).resolves.toEqual(claim);
  });

  it('is refused by another manager, and after 5 min', async () => {
    await expect(verifierOf('node-c1b2c3d4').verify(await sign())).rejects.toEqual(UNAUTHENTICATED);
    await expect(verifierOf(NODE, 311_000).verify(await sign())).rejects.toThrow('it has expired');
  });

  it('is refused without a host of a swarm', async () => {
    const token = await signer.sign({ ...claim, swarmNodeId: '', manager: NODE });
    await expect(verifierOf(NODE).verify(token)).rejects.toThrow('it names no host of a swarm');
  });

  it('and tokens of other kinds are no good in place of each other', async () => {
    const audience = `node:${NODE}`;
    const asControl = createControlTokenVerifier({ getJwks: () => jwks, audience, now: at(0) });
    await expect(asControl.verify(await sign())).rejects.toEqual(UNAUTHENTICATED);
    const asImage = createImageTokenVerifier({ getJwks: () => jwks, nodeId: NODE, now: at(0) });
    await expect(asImage.verify(await sign())).rejects.toEqual(UNAUTHENTICATED);
    const token = await createControlTokenSigner(control.privateJwk, at(0)).sign({ audience });
    await expect(verifierOf(NODE).verify(token)).rejects.toEqual(UNAUTHENTICATED);
  });
});
