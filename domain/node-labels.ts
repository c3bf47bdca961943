import { DomainError } from './errors.ts';

/** What the operator of a node says of it, by name: a region, a kind of disk, an owner. */
export type NodeLabels = Readonly<Record<string, string>>;

export const NODE_LABEL_LIMITS = { labels: 32, characters: 63 } as const;

const WORD = /^[a-z0-9](?:[a-z0-9._/-]*[a-z0-9])?$/;

/** Whether a text may be the name or the value of a label. */
export function isLabelWord(text: string): boolean {
  return text.length <= NODE_LABEL_LIMITS.characters && WORD.test(text);
}

/**
 * Reads labels such as `region=eu,disk=ssd`.
 *
 * @throws CONFIGURATION, with what is wrong and what is allowed.
 */
export function parseNodeLabels(text: string): NodeLabels {
  const labels = new Map<string, string>();
  for (const part of text.split(',').flatMap((word) => word.trim() || [])) {
    const [name = '', value, ...more] = part.split('=').map((word) => word.trim());
    if (value === undefined || more.length > 0 || !isLabelWord(name) || !isLabelWord(value)) {
      throw wrong(`found ${JSON.stringify(part)}`);
    }
    if (labels.has(name)) throw wrong(`${name} stands twice`);
    labels.set(name, value);
  }
  if (labels.size > NODE_LABEL_LIMITS.labels) throw wrong(`found ${labels.size}`);
  return Object.fromEntries(labels);
}

function wrong(finding: string): DomainError {
  const { labels, characters } = NODE_LABEL_LIMITS;
  return new DomainError('CONFIGURATION', `labels of a node: ${finding}`, {
    hint: `Give at most ${labels} pairs such as region=eu, of a-z, 0-9 and ._/- between, at most ${characters} characters each.`,
  });
}
