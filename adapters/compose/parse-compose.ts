import type { ComposeApplication } from '../../domain/compose/application.ts';
import { interpolateDocument } from '../../domain/compose/document.ts';
import { type ComposeOptions, translateDocument } from '../../domain/compose/translate.ts';
import { checkSchema } from './compose-schema.ts';
import { readYaml } from './read-yaml.ts';

/**
 * Makes an application out of the text of a Compose file: the only door.
 *
 * Text, then YAML, then variables, then the translation with its allow-list, then the schema of the Compose
 * specification. Reads no file, no environment and no network, whatever the text says.
 *
 * @throws INVALID_ARGUMENT whose field is a path into the file (`services.web.privileged`), or `file` for what is no
 * YAML. Values of variables never appear.
 */
export function parseCompose(text: string, options: ComposeOptions): ComposeApplication {
  const file = interpolateDocument(readYaml(text), options.variables);
  const application = translateDocument(file, options);
  checkSchema(file);
  return application;
}
