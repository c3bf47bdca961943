import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { type Snapshot, SnapshotSchema, SnapshotState, VolumeSchema } from '../../gen/obiente/cloud/v1/volumes_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { allPages } from '../pages.ts';
import { plainText } from '../plain-text.ts';
import { age, messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';
import { type ChangeOptions, type PlaceOption, projectIdOf } from '../volume-place.ts';

const COLUMNS: readonly Column<Snapshot>[] = [
  { heading: 'ID', cell: ({ id }) => id },
  { heading: 'VOLUME', cell: ({ volumeName }) => volumeName },
  { heading: 'NODE', cell: ({ nodeId }) => nodeId },
  { heading: 'STATE', cell: stateOf },
  { heading: 'BYTES', cell: ({ sizeBytes }) => String(sizeBytes), isNumber: true },
  { heading: 'AGE', cell: ({ createdAt }) => age(createdAt), isNumber: true },
];

function stateOf({ state, removing, errorCode, errorMessage }: Snapshot): string {
  if (removing) return 'being removed';
  if (state === SnapshotState.FAILED) return `failed: ${errorCode}: ${errorMessage}`;
  return state === SnapshotState.SUCCEEDED ? 'whole' : 'being taken';
}

interface SnapshotOptions extends ChangeOptions {
  readonly stop?: boolean;
}

/** Adds `snapshot`, `snapshots`, `restore` and `rm-snapshot` to `obiente volumes`. */
export function addSnapshots(volumes: Command, context: CliContext): void {
  volumes
    .command('snapshot')
    .description('take a snapshot of a volume while it is in use, or is not')
    .argument('<name>', 'name of the volume')
    .option('--stop', 'stop the deployment that writes it meanwhile, and start it again afterwards')
    .option('--project <name>', 'project that it belongs to (default: "default")')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<SnapshotOptions, [string]>(context, async ({ openApi, organization, terminal }, options, name) => {
        const api = await openApi();
        const projectId = await projectIdOf(api, organization, options);
        const { idempotencyKey = randomUUID(), stop: stopWriter = false } = options;
        const { snapshot } = await api.volumes.createSnapshot({ idempotencyKey, projectId, name, stopWriter });
        if (snapshot === undefined) return;
        terminal.document(messageJson(SnapshotSchema, snapshot));
        terminal.line(`snapshot ${snapshot.id} is being taken; "obiente volumes snapshots" shows how it ends`);
      }),
    );
  volumes
    .command('snapshots')
    .description('list the snapshots of a project, or of one volume')
    .argument('[name]', 'name of the volume')
    .option('--project <name>', 'project that they belong to (default: "default")')
    .action(
      action<PlaceOption, [string | undefined]>(context, async ({ openApi, organization, terminal }, options, name) => {
        const api = await openApi();
        const projectId = await projectIdOf(api, organization, options);
        const found = await allPages(async (page) => {
          const answer = await api.volumes.listSnapshots({ projectId, volumeName: name ?? '', page });
          return { items: answer.snapshots, page: answer.page };
        });
        terminal.document(found.map((snapshot) => messageJson(SnapshotSchema, snapshot)));
        terminal.line(found.length === 0 ? 'no snapshots yet' : table(terminal, COLUMNS, found));
      }),
    );
  volumes
    .command('restore')
    .description('make a new volume of a snapshot; what it was taken of stays as it is')
    .argument('<snapshot>', 'id of the snapshot')
    .argument('<name>', 'name of the new volume')
    .option('--project <name>', 'project that it belongs to (default: "default")')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<ChangeOptions, [string, string]>(
        context,
        async ({ openApi, organization, terminal }, options, snapshotId, name) => {
          const api = await openApi();
          const projectId = await projectIdOf(api, organization, options);
          const idempotencyKey = options.idempotencyKey ?? randomUUID();
          const { volume } = await api.volumes.restoreSnapshot({ idempotencyKey, projectId, snapshotId, name });
          if (volume === undefined) return;
          terminal.document(messageJson(VolumeSchema, volume));
          terminal.line(`volume ${plainText(name)} is being made; "obiente volumes" shows how it ends`);
        },
      ),
    );
  volumes
    .command('rm-snapshot')
    .description('delete a snapshot')
    .argument('<snapshot>', 'id of the snapshot')
    .option('--project <name>', 'project that it belongs to (default: "default")')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<ChangeOptions, [string]>(context, async ({ openApi, organization, terminal }, options, snapshotId) => {
        const api = await openApi();
        const projectId = await projectIdOf(api, organization, options);
        const idempotencyKey = options.idempotencyKey ?? randomUUID();
        await api.volumes.deleteSnapshot({ idempotencyKey, projectId, snapshotId });
        terminal.document({ deleted: snapshotId });
        terminal.line(`deleted snapshot ${plainText(snapshotId)}`);
      }),
    );
}
