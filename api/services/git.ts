import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { checkPrivateKey, generateDeployKey } from '../../adapters/git/deploy-key.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import {
  type GitCredentialKind as DomainKind,
  deleteGitCredential,
  type GitCredentialRecord,
  listGitCredentials,
  setGitCredential,
} from '../../adapters/postgres/git-credentials.ts';
import type { Sealing } from '../../adapters/sealing/sealing.ts';
import { invalidArgument } from '../../domain/errors.ts';
import { parseCredentialTarget, parseKnownHosts } from '../../domain/git-credential.ts';
import type { GitRules } from '../../domain/git-source.ts';
import {
  GitCredentialKind,
  type GitCredentialSchema,
  type GitService,
  type SetGitCredentialRequest,
} from '../../gen/obiente/cloud/v1/git_pb.ts';
import { getCallerOrganization } from '../auth/caller.ts';
import { hashRequest } from '../request-identity.ts';
import { gitSecretPlace } from '../secret-places.ts';
import { CREATED_FORMS, createdCursor, createdKey, readPage } from '../wire/page.ts';

/** What the service of Git credentials needs. */
export interface GitDeps {
  readonly db: Database;
  readonly sealing: Sealing;
  readonly git: GitRules;
}

const KIND: Record<GitCredentialKind, DomainKind | undefined> = {
  [GitCredentialKind.UNSPECIFIED]: undefined,
  [GitCredentialKind.HTTPS]: 'https',
  [GitCredentialKind.SSH]: 'ssh',
};

/** Creates the service of Git credentials. Secrets come in only; they are sealed before anything is stored. */
export function createGitService({ db, sealing, git }: GitDeps): ServiceImpl<typeof GitService> {
  return {
    async setGitCredential({ idempotencyKey, target: given, secret: wire }, context) {
      const organizationId = getCallerOrganization(context);
      const target = parseCredentialTarget('target', given, git);
      const { secret, isGiven, ...login } = readSecret(wire);
      const { kind, username, knownHosts } = login;
      const id = randomUUID();
      const [sealedSecret, fingerprint] = await Promise.all([
        sealing.seal({ ...gitSecretPlace({ organizationId, target, kind }), version: id, value: secret }),
        sealing.fingerprint({ organizationId, value: secret }),
      ]);
      // A key that the platform makes is another one at each attempt of the same request.
      const asked = [target, kind, username, knownHosts, isGiven ? fingerprint : 'made'];
      const requestHash = hashRequest('SetGitCredential', ...asked);
      const credential = { id, organizationId, target, ...login, sealedSecret, fingerprint };
      return { credential: toWire(await setGitCredential(db, { ...credential, idempotencyKey, requestHash })) };
    },
    async listGitCredentials(request, context) {
      const organizationId = getCallerOrganization(context);
      const { rows, page } = await readPage(request.page, {
        identity: { list: 'git-credentials', filters: [organizationId] },
        forms: CREATED_FORMS,
        keyOf: createdKey,
        read: ({ limit, after }) => listGitCredentials(db, { organizationId, limit, after: createdCursor(after) }),
      });
      return { credentials: rows.map(toWire), page };
    },
    async deleteGitCredential({ idempotencyKey, target: given, kind: wire }, context) {
      const organizationId = getCallerOrganization(context);
      // What the operator has ceased to allow can be deleted all the same.
      const [host = ''] = given
        .toLowerCase()
        .replace(/^[a-z]+:\/\/(?:[^/@]*@)?|^[^/@]*@/, '')
        .split('/');
      const target = parseCredentialTarget('target', given, { allowedHosts: [host, host.split(':')[0] ?? ''] });
      const kind = KIND[wire];
      const requestHash = hashRequest('DeleteGitCredential', target, kind ?? 'all');
      const which = { organizationId, target, ...(kind ? { kind } : {}) };
      await deleteGitCredential(db, { ...which, idempotencyKey, requestHash });
      return {};
    },
  };
}

function readSecret(wire: SetGitCredentialRequest['secret']) {
  if (wire.case === 'https') {
    const { username, password } = wire.value;
    return { kind: 'https', secret: password, isGiven: true, username, publicKey: '', knownHosts: '' } as const;
  }
  if (wire.case !== 'ssh') throw invalidArgument('secret', 'nothing is set', 'one of https and ssh');
  const { privateKey } = wire.value;
  const rest = {
    kind: 'ssh',
    username: '',
    knownHosts: parseKnownHosts('ssh.known_hosts', wire.value.knownHosts),
  } as const;
  if (privateKey !== '') {
    const { publicKey } = checkPrivateKey('ssh.private_key', privateKey);
    return { ...rest, secret: privateKey, isGiven: true, publicKey };
  }
  const made = generateDeployKey();
  return { ...rest, secret: made.privateKey, isGiven: false, publicKey: made.publicKey };
}

function toWire({ createdAt, kind, ...fields }: GitCredentialRecord): MessageInitShape<typeof GitCredentialSchema> {
  const wireKind = kind === 'https' ? GitCredentialKind.HTTPS : GitCredentialKind.SSH;
  return { ...fields, kind: wireKind, createdAt: timestampFromDate(createdAt) };
}
