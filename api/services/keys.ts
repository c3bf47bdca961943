import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import {
  countMasterKeyUse,
  findRotation,
  type MasterKeyUse,
  type RotationRecord,
} from '../../adapters/postgres/key-rotations.ts';
import { renewDataKey } from '../../adapters/postgres/organization-keys.ts';
import { makeDataKey } from '../../adapters/sealing/data-keys.ts';
import type { Keyring } from '../../adapters/sealing/keyring.ts';
import type { WorkflowGateway } from '../../adapters/temporal/workflow-gateway.ts';
import { notFound } from '../../domain/errors.ts';
import {
  type KeysService,
  type MasterKeySchema,
  type RotationSchema,
  RotationState,
} from '../../gen/obiente/cloud/v1/keys_pb.ts';
import { getCaller } from '../auth/caller.ts';
import { deriveId, hashRequest } from '../request-identity.ts';
import { watchRecord } from '../watch-record.ts';

/** What the service of keys needs. */
export interface KeysDeps {
  readonly db: Database;
  readonly changes: ChangeFeed;
  readonly masterKeys: Keyring;
  readonly payloadKeys: Keyring;
  readonly workflows: Pick<WorkflowGateway, 'rotateKeys'>;
  /** Silence after which a stream sends a heartbeat, milliseconds. */
  readonly heartbeatMs: number;
}

/** Creates the service of keys. It shows names of keys, never a key. */
export function createKeysService(deps: KeysDeps): ServiceImpl<typeof KeysService> {
  const { db, masterKeys, payloadKeys, workflows } = deps;
  return {
    async getKeys() {
      const [uses, newest] = await Promise.all([countMasterKeyUse(db), findRotation(db)]);
      return {
        masterKeys: listMasterKeys(masterKeys, uses),
        payloadKeyIds: [...payloadKeys.ids],
        ...(newest ? { rotation: toWire(newest) } : {}),
      };
    },
    async rotateMasterKey({ idempotencyKey }, context) {
      const { userId: actorUserId } = getCaller(context);
      const wanted = deriveId(actorUserId, idempotencyKey, 'rotation');
      const call = { rotationId: wanted, masterKeyId: masterKeys.present.id, actorUserId };
      const { rotationId } = await workflows.rotateKeys(call);
      return { rotation: toWire(await getRotation(db, rotationId)) };
    },
    async *watchRotation({ rotationId }, { signal }) {
      const read = () => getRotation(db, rotationId.toLowerCase());
      const isFinal = ({ state }: RotationRecord): boolean => state !== 'running';
      for await (const rotation of watchRecord({ ...deps, filter: { keys: true }, signal, read, isFinal })) {
        yield rotation ? { rotation: toWire(rotation) } : {};
      }
    },
    async renewDataKey({ idempotencyKey, organizationId: given }) {
      const organizationId = given.toLowerCase();
      const requestHash = hashRequest('RenewDataKey');
      const make = (version: number) => makeDataKey(masterKeys.present, { organizationId, version });
      return await renewDataKey(db, { organizationId, make, idempotencyKey, requestHash });
    },
  };
}

async function getRotation(db: Database, id: string): Promise<RotationRecord> {
  const found = await findRotation(db, id);
  if (!found) throw notFound('rotation');
  return found;
}

function listMasterKeys(keys: Keyring, uses: readonly MasterKeyUse[]): MessageInitShape<typeof MasterKeySchema>[] {
  const counts = new Map(uses.map(({ masterKeyId, dataKeys }) => [masterKeyId, dataKeys]));
  return [...new Set([...keys.ids, ...counts.keys()])].map((id) => ({
    id,
    dataKeys: BigInt(counts.get(id) ?? 0),
    present: id === keys.present.id,
    known: keys.ids.includes(id),
  }));
}

const STATE: Record<RotationRecord['state'], RotationState> = {
  running: RotationState.RUNNING,
  succeeded: RotationState.SUCCEEDED,
  failed: RotationState.FAILED,
};

function toWire(rotation: RotationRecord): MessageInitShape<typeof RotationSchema> {
  const { id, masterKeyId, rewrapped, actorUserId, createdAt, finishedAt } = rotation;
  return {
    ...{ id, masterKeyId, actorUserId, state: STATE[rotation.state], rewrapped: BigInt(rewrapped) },
    errorCode: rotation.errorCode ?? '',
    errorMessage: rotation.errorMessage ?? '',
    errorHint: rotation.errorHint ?? '',
    createdAt: timestampFromDate(createdAt),
    ...(finishedAt ? { finishedAt: timestampFromDate(finishedAt) } : {}),
  };
}
