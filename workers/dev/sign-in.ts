import type { Installation } from './installation.ts';
import { usesDevelopmentIssuer } from './role-environment.ts';

export async function signIn(installation: Installation): Promise<void> {
  if (!usesDevelopmentIssuer(installation)) return;
}
