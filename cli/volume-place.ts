import type { Api } from './client.ts';
import { DEFAULT_PROJECT, getOrganization, getProject } from './resolve.ts';

/** Which project a volume is of. */
export interface PlaceOption {
  readonly project?: string;
}

/** The same for what changes something. */
export interface ChangeOptions extends PlaceOption {
  readonly idempotencyKey?: string;
}

/** The project that the options name, or the default one. @throws NOT_FOUND */
export async function projectIdOf(
  api: Api,
  organization: string | undefined,
  { project }: PlaceOption,
): Promise<string> {
  const { id: organizationId } = await getOrganization(api, organization);
  return (await getProject(api, organizationId, project ?? DEFAULT_PROJECT)).id;
}
