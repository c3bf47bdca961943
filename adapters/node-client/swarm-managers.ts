import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { DomainError, type ErrorCode, isDomainError, RETRYABLE } from '../../domain/errors.ts';
import { ErrorDetailSchema } from '../../gen/obiente/cloud/v1/resources_pb.ts';
import { SwarmGatewayService, type SwarmService } from '../../gen/obiente/internal/v1/swarm_pb.ts';
import type { AskManagers } from '../docker/swarm/managing.ts';
import type { KnownService } from '../docker/swarm/services.ts';
import { tolerateLateSessionErrors } from '../http2/late-session-errors.ts';
import { parsePublicJwk } from '../tokens/keys.ts';
import { encryptService } from '../tokens/service-envelope.ts';

/** A node on a manager, and what it takes to ask it. */
export interface SwarmManagerAt {
  readonly nodeId: string;
  readonly gatewayUrl: string;
  /** Signed by the control plane for this caller and this manager. */
  readonly token: string;
  /** Its public encryption key, a JWK as JSON. */
  readonly encryptionJwk: string;
}

/** What asking managers needs. */
export interface SwarmManagersPorts {
  /** Nodes on those managers, with tokens that are valid for 5 min. */
  fetchManagers(swarmNodeIds: readonly string[]): Promise<readonly SwarmManagerAt[]>;
  /** Under which this process has the node's lease: tokens of an older one are refused. */
  epoch(): number;
  /** Called just before anything is asked to be changed; what it throws, the change fails of. */
  beforeChange(): void;
}

/** A manager that is frozen says nothing; its daemon answers in milliseconds, and the next manager as well. */
const ANSWERS_WITHIN_MS = 5_000;

/** Tokens are renewed long before their end of 5 min; while the control plane is away they are used almost until then. */
const TOKENS_KEPT_MS = 60_000;
const TOKENS_USED_MS = 270_000;

/** Tells a dead connection from a silent one. */
const PING = { pingIntervalMs: 5_000, pingTimeoutMs: 3_000, idleConnectionTimeoutMs: 60_000 };

/** Connections that are kept; a swarm has seven managers at most. */
const MOST_CLIENTS = 16;

/** What another manager may answer otherwise; everything else is an answer of the swarm. */
const OF_THE_MANAGER: readonly ErrorCode[] = [
  ...(['UNAUTHENTICATED', 'NODE_UNAVAILABLE', 'DOCKER_UNAVAILABLE', 'CONFIGURATION', 'INTERNAL'] as const),
];

type Ask<Answer> = (
  client: Client<typeof SwarmGatewayService>,
  options: { readonly headers: Readonly<Record<string, string>>; readonly timeoutMs: number },
  manager: SwarmManagerAt,
) => Promise<Answer>;

/**
 * Creates what asks managers where this host is none, or has lost the others. One that does not answer is passed over for the next, and the one
 * that has answered last is asked first. A change that seemed to fail may have been made: whoever asked looks again by name.
 *
 * Each call throws the swarm's refusal, or DOCKER_UNAVAILABLE (retryable) when no manager answers.
 */
export function createSwarmManagers(ports: SwarmManagersPorts): AskManagers {
  const clientOf = createClients();
  return (membership) => {
    let known:
      | { readonly managers: readonly SwarmManagerAt[]; readonly atMs: number; readonly epoch: number }
      | undefined;
    let preferred = '';

    const fetch = async (): Promise<readonly SwarmManagerAt[]> => {
      const epoch = ports.epoch();
      const { nodeId, managers: ids } = await membership.recent();
      // A manager asks only when its own daemon cannot do it.
      const managers = await ports.fetchManagers(ids.filter((id) => id !== nodeId));
      known = { managers, atMs: performance.now(), epoch };
      return managers;
    };
    const current = async (): Promise<readonly SwarmManagerAt[]> => {
      if (!known || known.epoch !== ports.epoch()) return await fetch();
      const { managers, atMs } = known;
      const ageMs = performance.now() - atMs;
      if (ageMs < TOKENS_KEPT_MS) return managers;
      return await fetch().catch((error: unknown) => {
        if (ageMs > TOKENS_USED_MS) throw error;
        return managers;
      });
    };

    const ask = async <Answer>(what: string, call: Ask<Answer>, { changes = false } = {}): Promise<Answer> => {
      const managers = await current().catch((error: unknown) => {
        throw nobody(what, isDomainError(error) ? error : undefined);
      });
      const inOrder = [...managers].sort((one, other) => rank(one) - rank(other));
      let last: DomainError | undefined;
      for (const manager of inOrder) {
        if (changes) ports.beforeChange();
        try {
          const headers = { authorization: `Bearer ${manager.token}` };
          const options = { headers, timeoutMs: ANSWERS_WITHIN_MS };
          const answer = await call(clientOf(manager.gatewayUrl), options, manager);
          preferred = manager.nodeId;
          return answer;
        } catch (error) {
          last = toDomainError(what, manager, error);
          if (!OF_THE_MANAGER.includes(last.code)) throw last;
        }
      }
      // Another one may have become a manager, or a token may be of before the control plane's keys.
      known = undefined;
      throw nobody(what, last);
    };
    const rank = ({ nodeId }: SwarmManagerAt): number => (nodeId === preferred ? 0 : 1);
    const change = { changes: true };

    return {
      services: {
        find: async (idOrName) => {
          const { service } = await ask(`look for service ${idOrName}`, (client, options) =>
            client.findService({ idOrName }, options),
          );
          return service && toKnownService(service);
        },
        // The manager knows whose they are from the token.
        list: async () => {
          const { services } = await ask('list services', (client, options) => client.listServices({}, options));
          return services.map(toKnownService);
        },
        create: async (spec) => {
          const call: Ask<{ id: string }> = async (client, options, { encryptionJwk }) => {
            const jwe = await encryptService(parsePublicJwk(encryptionJwk, 'encryption_jwk'), spec);
            ports.beforeChange();
            return await client.createService({ jwe }, options);
          };
          const { id } = await ask(`create service ${spec.Name}`, call, change);
          return id === '' ? undefined : id;
        },
        setTasks: async (id, count, anew = false) => {
          const call: Ask<{ found: boolean }> = (client, options) => client.setTasks({ id, count, anew }, options);
          return (await ask(`set the tasks of service ${id} to ${count}`, call, change)).found;
        },
        tasksOf: async (id) => {
          const { tasks } = await ask(`list the tasks of service ${id}`, (client, options) =>
            client.listTasks({ id }, options),
          );
          return tasks;
        },
        remove: async (id) => {
          await ask(`remove service ${id}`, (client, options) => client.removeService({ id }, options), change);
        },
      },
      overlays: {
        ensure: async ({ name, labels }) => {
          const network = { name, labels: { ...labels } };
          await ask(`make network ${name}`, (client, options) => client.ensureNetwork(network, options), change);
        },
        remove: async (idOrName) => {
          const call: Ask<{ gone: boolean }> = (client, options) => client.removeNetwork({ idOrName }, options);
          return (await ask(`remove network ${idOrName}`, call, change)).gone;
        },
      },
      host: async () => await ask('look at this host', (client, options) => client.getOwnNode({}, options)),
    };
  };
}

/** Keeps a client for each manager; the one used longest ago makes room. */
function createClients(): (url: string) => Client<typeof SwarmGatewayService> {
  tolerateLateSessionErrors();
  const clients = new Map<
    string,
    { readonly client: Client<typeof SwarmGatewayService>; readonly sessions: Http2SessionManager }
  >();
  return (url) => {
    const sessions = clients.get(url)?.sessions ?? new Http2SessionManager(url, PING);
    const transport = () => createConnectTransport({ baseUrl: url, httpVersion: '2', sessionManager: sessions });
    const kept = clients.get(url) ?? { client: createClient(SwarmGatewayService, transport()), sessions };
    clients.delete(url);
    clients.set(url, kept);
    const [oldest] = clients;
    if (clients.size > MOST_CLIENTS && oldest) {
      clients.delete(oldest[0]);
      oldest[1].sessions.abort();
    }
    return kept.client;
  };
}

function toKnownService({ writtenVolumes, createdAtMs, ...service }: SwarmService): KnownService {
  return { ...service, writtenVolumes, createdAtMs: Number(createdAtMs) };
}

/** The manager says which of the platform's errors it is; what does not come from it is that it does not answer. */
function toDomainError(what: string, { nodeId }: SwarmManagerAt, cause: unknown): DomainError {
  if (isDomainError(cause)) return cause;
  const error = ConnectError.from(cause);
  const [detail] = error.findDetails(ErrorDetailSchema);
  const code = detail?.code ?? (error.code === Code.Unauthenticated ? 'UNAUTHENTICATED' : 'NODE_UNAVAILABLE');
  const message = `cannot ${what} by manager ${nodeId}: ${error.rawMessage}`;
  return new DomainError(code in RETRYABLE ? (code as ErrorCode) : 'NODE_UNAVAILABLE', message, { cause });
}

function nobody(what: string, last: DomainError | undefined): DomainError {
  const why = last?.message ?? `cannot ${what}: no manager that this host knows is a node`;
  return new DomainError('DOCKER_UNAVAILABLE', why, {
    hint: 'Let a node process run on a manager of the swarm, where this host reaches it ("obiente node swarm").',
    cause: last,
  });
}
