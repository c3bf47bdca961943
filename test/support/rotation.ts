import { createRotationRecords } from '../../adapters/postgres/key-rotations.ts';
import { createKeyRewrapper } from '../../adapters/postgres/rewrap-keys.ts';
import type { Keyring } from '../../adapters/sealing/keyring.ts';
import type { RotationCall } from '../../adapters/temporal/workflow-gateway.ts';
import type { RotationAccepted } from '../../contracts/keys.ts';
import { isDomainError } from '../../domain/errors.ts';
import { describeRefused, FIRST_PASS, nextRotationStep } from '../../domain/key-rotation.ts';

/** Carries a rotation out as its workflow does, on the real store and in small batches. */
export async function carryOutRotation(
  db: Parameters<typeof createKeyRewrapper>[0],
  masterKeys: Keyring,
  call: RotationCall,
  limit = 7,
): Promise<RotationAccepted> {
  const { rotationId, masterKeyId } = call;
  const records = createRotationRecords(db);
  const { rewrapBatch } = createKeyRewrapper(db, masterKeys);
  const fail = (message: string) =>
    records.endRotation({ rotationId, failure: { code: 'CONFIGURATION', message, hint: '' } });
  let pass = (await records.beginRotation(call)).open ? FIRST_PASS : undefined;
  try {
    while (pass) {
      const step = nextRotationStep(pass, await rewrapBatch({ rotationId, masterKeyId, after: pass.after, limit }));
      if (step.kind === 'done') await records.endRotation({ rotationId, failure: null });
      if (step.kind === 'fail') await fail(describeRefused(step.refused));
      pass = step.kind === 'rewrap' ? step.pass : undefined;
    }
  } catch (error) {
    if (!isDomainError(error)) throw error;
    await fail(error.message);
  }
  return { rotationId };
}
