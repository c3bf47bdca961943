import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import {
  GetKeysResponseSchema,
  type MasterKey,
  RenewDataKeyResponseSchema,
  type Rotation,
  RotationSchema,
  RotationState,
} from '../../gen/obiente/cloud/v1/keys_pb.ts';
import { followRotation } from '../follow-rotation.ts';
import { action, type CliContext } from '../invocation.ts';
import { plainText } from '../plain-text.ts';
import { createProgress } from '../progress.ts';
import { getOrganization, isId } from '../resolve.ts';
import { age, messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';
import { addKeyFiles } from './key-files.ts';

interface KeyOption {
  readonly idempotencyKey?: string;
}

/** Adds `obiente keys` with `status`, `rotate`, `renew`, and the words for files of keys. */
export function addKeys(program: Command, context: CliContext): void {
  const keys = program
    .command('keys')
    .description('for operators of the platform: see and rotate the keys under which secrets are kept');
  keys
    .command('status', { isDefault: true })
    .description('show which master key wraps how many data keys, and how the newest rotation stands')
    .action(
      action<object, []>(context, async ({ openApi, terminal }) => {
        const answer = await (await openApi()).keys.getKeys({});
        const columns: readonly Column<MasterKey>[] = [
          { heading: 'MASTER KEY', cell: ({ id }) => id },
          { heading: 'DATA KEYS', cell: ({ dataKeys }) => String(dataKeys), isNumber: true },
          {
            heading: 'HERE',
            cell: meaning,
            paint: (text, { known }) => (known ? text : terminal.paint.red(text)),
          },
        ];
        const [writing, ...reading] = answer.payloadKeyIds;
        terminal.document(messageJson(GetKeysResponseSchema, answer));
        terminal.line(table(terminal, columns, answer.masterKeys));
        terminal.line(`payload keys: ${[`${writing} (writes)`, ...reading].join(', ')}`);
        if (answer.rotation) terminal.line(describe(answer.rotation));
      }),
    );
  keys
    .command('rotate')
    .description('wrap the data keys of all organizations by the present master key, and wait until it is done')
    .option('--idempotency-key <key>', 'same key, same rotation')
    .action(
      action<KeyOption, []>(context, async ({ openApi, terminal, signal }, options) => {
        const api = await openApi();
        const idempotencyKey = options.idempotencyKey ?? randomUUID();
        const { rotation: begun } = await api.keys.rotateMasterKey({ idempotencyKey });
        if (begun === undefined) return;
        const progress = createProgress(terminal, context.stderr);
        const onChange = (rotation: Rotation): void => progress.doing(describe(rotation));
        const onInterruption = (): void => progress.warn('the connection to the API broke, trying again');
        const following = followRotation(api, { rotation: begun, signal, onChange, onInterruption });
        const ended = await following.finally(() => progress.stop());
        terminal.document(messageJson(RotationSchema, ended));
        terminal.line(describe(ended));
      }),
    );
  keys
    .command('renew')
    .description('give an organization a new data key for what is stored from now on')
    .argument('<organization>', 'id of any organization, or name of one of yours')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<KeyOption, [string]>(context, async ({ openApi, terminal }, options, wanted) => {
        const api = await openApi();
        const organizationId = isId(wanted) ? wanted : (await getOrganization(api, wanted)).id;
        const idempotencyKey = options.idempotencyKey ?? randomUUID();
        const answer = await api.keys.renewDataKey({ idempotencyKey, organizationId });
        terminal.document(messageJson(RenewDataKeyResponseSchema, answer));
        terminal.line(`${plainText(wanted)} seals by version ${answer.version} of its data key, within a minute`);
      }),
    );
  addKeyFiles(keys, context);
}

function meaning({ present, known, dataKeys }: MasterKey): string {
  if (present) return 'wraps and unwraps';
  if (!known) return 'missing';
  return dataKeys === 0n ? 'unwraps; nothing needs it' : 'unwraps';
}

function describe({ masterKeyId, state, rewrapped, finishedAt, errorMessage }: Rotation): string {
  const what = `rotation to ${masterKeyId}`;
  const count = `${rewrapped} data ${rewrapped === 1n ? 'key' : 'keys'} wrapped`;
  if (state === RotationState.RUNNING) return `${what}: ${count} so far`;
  if (state === RotationState.FAILED) return `${what} failed, ${count}: ${plainText(errorMessage)}`;
  return `${what} succeeded ${age(finishedAt)} ago, ${count}`;
}
