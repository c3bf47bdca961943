import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { type Volume, VolumeSchema } from '../../gen/obiente/cloud/v1/volumes_pb.ts';
import { refuse } from '../failures.ts';
import { action, type CliContext } from '../invocation.ts';
import { allPages } from '../pages.ts';
import { plainText } from '../plain-text.ts';
import { getOrganization, getProject } from '../resolve.ts';
import { age, messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';
import { type ChangeOptions, type PlaceOption, projectIdOf } from '../volume-place.ts';
import { addSnapshots } from './snapshots.ts';

interface RemoveOptions extends ChangeOptions {
  readonly yes?: boolean;
  readonly confirm?: string;
}

const COLUMNS: readonly Column<Volume>[] = [
  { heading: 'NAME', cell: ({ name }) => name },
  { heading: 'NODE', cell: ({ nodeId }) => nodeId || '-' },
  { heading: 'WRITTEN BY', cell: writerOf },
  { heading: 'MOUNTED BY', cell: ({ mountedBy }) => mountedBy.join(', ') || '-' },
  { heading: 'STATE', cell: stateOf },
  { heading: 'AGE', cell: ({ createdAt }) => age(createdAt), isNumber: true },
];

function writerOf({ writerDeployment, writerService }: Volume): string {
  if (writerDeployment === '') return '-';
  return writerService === 'app' ? writerDeployment : `${writerService} of ${writerDeployment}`;
}

function stateOf({ removing, restoringFrom, restoreError }: Volume): string {
  if (removing) return 'being removed';
  if (restoreError !== '') return `not restored: ${restoreError}`;
  return restoringFrom === '' ? 'kept' : 'being restored';
}

/** Adds `obiente volumes` with `list`, `show`, `create` and `rm`. */
export function addVolumes(program: Command, context: CliContext): void {
  const volumes = program.command('volumes').description('list, show, create and remove volumes: data that stays');
  addSnapshots(volumes, context);
  volumes
    .command('list', { isDefault: true })
    .alias('ls')
    .description('list the volumes of the organization')
    .option('--project <name>', 'of this project only')
    .action(
      action<PlaceOption, []>(context, async ({ openApi, organization, terminal }, { project }) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const projectId = project === undefined ? '' : (await getProject(api, organizationId, project)).id;
        const found = await allPages(async (page) => {
          const answer = await api.volumes.listVolumes({ organizationId, projectId, page });
          return { items: answer.volumes, page: answer.page };
        });
        terminal.document(found.map((volume) => messageJson(VolumeSchema, volume)));
        terminal.line(found.length === 0 ? 'no volumes yet' : table(terminal, COLUMNS, found));
      }),
    );
  volumes
    .command('show')
    .description('show where a volume is and who uses it')
    .argument('<name>', 'name of the volume')
    .option('--project <name>', 'project that it belongs to (default: "default")')
    .action(
      action<PlaceOption, [string]>(context, async ({ openApi, organization, terminal }, options, name) => {
        const api = await openApi();
        const projectId = await projectIdOf(api, organization, options);
        const { volume } = await api.volumes.getVolume({ projectId, name });
        if (volume === undefined) return;
        terminal.document(messageJson(VolumeSchema, volume));
        terminal.line(table(terminal, COLUMNS, [volume]));
      }),
    );
  volumes
    .command('create')
    .description('create an empty volume; deploying with a new name does it as well')
    .argument('<name>', 'name of the volume')
    .option('--project <name>', 'project that it belongs to (default: "default")')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<ChangeOptions, [string]>(context, async ({ openApi, organization, terminal }, options, name) => {
        const api = await openApi();
        const projectId = await projectIdOf(api, organization, options);
        const idempotencyKey = options.idempotencyKey ?? randomUUID();
        const { volume } = await api.volumes.createVolume({ idempotencyKey, projectId, name });
        if (volume === undefined) return;
        terminal.document(messageJson(VolumeSchema, volume));
        terminal.line(`created volume ${plainText(name)}`);
      }),
    );
  volumes
    .command('rm')
    .alias('remove')
    .description('delete a volume with all its data; nothing else ever does')
    .argument('<name>', 'name of the volume')
    .option('--confirm <name>', 'its name again, as a sign that you mean it')
    .option('--yes', 'the same without its name')
    .option('--project <name>', 'project that it belongs to (default: "default")')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<RemoveOptions, [string]>(context, async ({ openApi, organization, terminal }, options, name) => {
        if (options.yes !== true && options.confirm !== name) {
          throw refuse('--confirm', 'the data cannot be had back; repeat the name', `Add --confirm ${name}, or --yes.`);
        }
        const api = await openApi();
        const projectId = await projectIdOf(api, organization, options);
        const idempotencyKey = options.idempotencyKey ?? randomUUID();
        await api.volumes.deleteVolume({ idempotencyKey, projectId, name });
        terminal.document({ deleted: name });
        terminal.line(`deleted volume ${plainText(name)}`);
      }),
    );
}
