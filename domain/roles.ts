/** The roles of an organization's members, the mightiest first. */
export const ROLES = ['owner', 'admin', 'member', 'viewer'] as const;

/** A member's role in an organization. */
export type Role = (typeof ROLES)[number];

/** What a role may allow. `exec` is never part of reading: a shell is as mighty as a deploy. */
export type Permission =
  | 'organization.read'
  | 'organization.update'
  | 'organization.delete'
  | 'organization.members.read'
  | 'organization.members.update'
  | 'project.read'
  | 'project.create'
  | 'project.update'
  | 'project.delete'
  | 'volume.read'
  | 'volume.create'
  | 'volume.delete'
  | 'registry.read'
  | 'registry.manage'
  | 'git.read'
  | 'git.manage'
  | 'alert.read'
  | 'alert.update'
  | 'alert.manage'
  | 'deployment.read'
  | 'deployment.logs'
  | 'deployment.create'
  | 'deployment.update'
  | 'deployment.delete'
  | 'deployment.deploy'
  | 'deployment.start'
  | 'deployment.stop'
  | 'deployment.restart'
  | 'deployment.scale'
  | 'deployment.exec'
  | 'deployment.manage';

const VIEWER: readonly Permission[] = [
  'organization.read',
  'organization.members.read',
  'project.read',
  'volume.read',
  'deployment.read',
  'deployment.logs',
  'alert.read',
];

const MEMBER: readonly Permission[] = [
  ...VIEWER,
  'registry.read',
  'volume.create',
  'git.read',
  'alert.update',
  'project.create',
  'project.update',
  'deployment.create',
  'deployment.update',
  'deployment.delete',
  'deployment.deploy',
  'deployment.start',
  'deployment.stop',
  'deployment.restart',
  'deployment.scale',
  'deployment.exec',
];

const ADMIN: readonly Permission[] = [
  ...MEMBER,
  'project.delete',
  'volume.delete',
  'registry.manage',
  'git.manage',
  'alert.manage',
  'deployment.manage',
  'organization.update',
  'organization.members.update',
];

/** What each role may do. Each role may do all that the next one may. */
export const ROLE_PERMISSIONS: Record<Role, ReadonlySet<Permission>> = {
  owner: new Set([...ADMIN, 'organization.delete']),
  admin: new Set(ADMIN),
  member: new Set(MEMBER),
  viewer: new Set(VIEWER),
};

/** Whether a role allows something. */
export function isAllowed(role: Role, permission: Permission): boolean {
  return ROLE_PERMISSIONS[role].has(permission);
}

/** The least role that allows something, to tell a caller whose role does not. */
export function leastRole(permission: Permission): Role {
  return ROLES.findLast((role) => isAllowed(role, permission)) ?? 'owner';
}

/** Reads a role from outside; `undefined` for anything that is not one, so that it allows nothing. */
export function toRole(value: unknown): Role | undefined {
  return ROLES.find((role) => role === value);
}
