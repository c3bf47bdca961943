/** A deployment and whose it is. Ids in lower case, as the database has them. */
export interface DeploymentPlace {
  readonly organizationId: string;
  readonly deploymentId: string;
}

/** What the value of a deployment's variable is sealed for, beside its version. */
export function variablePlace({ organizationId, deploymentId }: DeploymentPlace, { name }: { readonly name: string }) {
  return { organizationId, owner: `deployment ${deploymentId}`, name };
}

/** What a registry's password is sealed for, beside its version. No variable of a deployment can be called so. */
export function passwordPlace({ organizationId, host }: { readonly organizationId: string; readonly host: string }) {
  return { organizationId, owner: 'registries', name: `registry ${host}` };
}
