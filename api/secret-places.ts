/** A deployment and whose it is. Ids in lower case, as the database has them. */
export interface DeploymentPlace {
  readonly organizationId: string;
  readonly deploymentId: string;
}

/** One service of a deployment. */
export interface ServicePlace extends DeploymentPlace {
  readonly service: string;
}

/** The variables of a service: those of its containers, or the build arguments of its image. */
export interface VariablesPlace extends ServicePlace {
  readonly isBuildArgument: boolean;
}

/** What the value of a variable is sealed for, beside its version. Neither an id nor a service's name has spaces. */
export function variablePlace(
  { organizationId, deploymentId, service, isBuildArgument }: VariablesPlace,
  { name }: { readonly name: string },
) {
  const kind = isBuildArgument ? 'build' : 'service';
  return { organizationId, owner: `deployment ${deploymentId} ${kind} ${service}`, name };
}

/** What a registry's password is sealed for, beside its version. No variable of a deployment can be called so. */
export function passwordPlace({ organizationId, host }: { readonly organizationId: string; readonly host: string }) {
  return { organizationId, owner: 'registries', name: `registry ${host}` };
}

/** What the secret for a Git server is sealed for, beside its version. */
export function gitSecretPlace(of: {
  readonly organizationId: string;
  readonly target: string;
  readonly kind: string;
}) {
  return { organizationId: of.organizationId, owner: 'git', name: `git ${of.kind} ${of.target}` };
}

/** What the secret of a deployment's webhook is sealed for, beside its version. */
export function webhookSecretPlace({ organizationId, deploymentId }: DeploymentPlace) {
  return { organizationId, owner: `deployment ${deploymentId}`, name: 'secret of the webhook' };
}
