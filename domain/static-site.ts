/** The port on which the official unprivileged nginx image listens; what serves a page in place of it does the same. */
export const SITE_PORT = 8080;

/** The folder of a build context that holds what a page is made of. */
export const SITE_ROOT = 'site';

/** Settings of deployments, which may hold values of variables. */
const SETTINGS = 'obiente.yaml';

/** What serves pages. */
export interface SiteServer {
  /** Reference of an image whose own command serves a folder. */
  readonly image: string;
  /** That folder. */
  readonly folder: string;
}

/** Whether a file of a page may be seen by everybody: nothing hidden, but for `.well-known`. */
export function isPublished(path: string): boolean {
  const names = path.split('/');
  return path !== SETTINGS && names.every((name) => !name.startsWith('.') || name === '.well-known');
}

/** The Dockerfile that puts a folder of the context, empty for all of it, where the image serves it from. */
export function siteDockerfile({ image, folder }: SiteServer, source: string): string {
  const from = source === '' ? SITE_ROOT : `${SITE_ROOT}/${source}`;
  return `FROM ${image}\nCOPY ${JSON.stringify([`${from}/`, `${folder}/`])}\n`;
}
