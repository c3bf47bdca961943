const TIMEOUT_MS = 5000;

/** A key set of 50 keys with certificates stays below this. */
const MAX_BYTES = 512 * 1024;

/**
 * Fetches an issuer's JWK set through its discovery document (OpenID Connect Discovery 4).
 *
 * Redirects are not followed, answers are cut off at 512 KiB, each request at 5 s, and the document must be of exactly
 * this issuer.
 *
 * @throws Error that says which answer was wrong.
 */
export async function fetchProviderKeys(issuer: string): Promise<unknown> {
  const document = await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  const { issuer: named, jwks_uri: jwksUri } = Object(document) as Record<string, unknown>;
  if (named !== issuer) throw new Error('the discovery document is of another issuer');
  if (typeof jwksUri !== 'string' || !isAllowed(jwksUri, issuer))
    throw new Error('the address of the keys is not allowed');
  return await fetchJson(jwksUri);
}

/** Keys come over https; over http only from an issuer that itself is http, from the same origin. */
function isAllowed(jwksUri: string, issuer: string): boolean {
  if (!URL.canParse(jwksUri)) return false;
  const { protocol, origin } = new URL(jwksUri);
  return protocol === 'https:' || (protocol === 'http:' && origin === new URL(issuer).origin);
}

async function fetchJson(url: string): Promise<unknown> {
  const response = await fetch(url, {
    redirect: 'error',
    headers: { accept: 'application/json' },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    throw new Error(`${new URL(url).pathname} answered ${response.status}`);
  }
  return JSON.parse(await readText(response.body));
}

async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new Error(`the answer is larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
