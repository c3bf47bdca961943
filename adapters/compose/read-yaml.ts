import {
  Composer,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
} from 'yaml';
import { COMPOSE_LIMITS } from '../../domain/compose/application.ts';
import { pathOf } from '../../domain/compose/place.ts';
import { type DomainError, invalidArgument } from '../../domain/errors.ts';
import { refuseAt, refuseText, refuseYaml, showLine } from './yaml-refusal.ts';
import { checkText, yamlTokens } from './yaml-tokens.ts';

/** Tags of the library are left out, and keys are compared here: its own way takes the square of their number. */
const OPTIONS = {
  version: '1.2',
  schema: 'core',
  strict: true,
  uniqueKeys: false,
  customTags: null,
  resolveKnownTags: false,
  logLevel: 'silent',
  prettyErrors: false,
} as const;

/** A number that YAML 1.1 and 1.2 read as different ones, or one of them as a text. */
const AMBIGUOUS_NUMBER = /^[-+]?(?:0[0-9_]+|0b[01_]+|[0-9][0-9_]*_[0-9_]*)$/;

interface Reading {
  readonly lines: LineCounter;
  /** Values of the anchors so far. */
  readonly anchors: Map<string, unknown>;
  /** Values that may still come, those of merged maps counted again. */
  left: number;
}

/**
 * Reads a text as one document of YAML 1.2 (core schema): texts, numbers, booleans, nulls, lists and maps.
 *
 * Aliases share the value that they stand for, so that reading costs what the text is long; whoever takes the value
 * apart counts its parts. Merge keys (`<<`) work as in YAML 1.1, which Compose files are full of.
 *
 * @throws INVALID_ARGUMENT for what is no YAML, with the line; for keys that are there twice, with both lines; for tags,
 * other versions and further documents; and for whatever exceeds the bounds.
 */
export function readYaml(text: string): unknown {
  checkText(text);
  const lines = new LineCounter();
  const [document, second] = compose(text, lines);
  if (!document) throw refuseText('empty', 'a Compose file');
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) throw refuseYaml(lines, problem);
  if (second) throw refuseAt(lines, second.range[0], 'a second document', 'one document');
  const { yaml } = document.directives;
  if (yaml.version !== '1.2') throw refuseText(`YAML ${yaml.version}`, 'YAML 1.2');
  return read(document.contents, '', { lines, anchors: new Map(), left: COMPOSE_LIMITS.values });
}

type Read = Document.Parsed<ParsedNode>;

function compose(text: string, lines: LineCounter): readonly Read[] {
  const documents: Read[] = [];
  for (const document of new Composer(OPTIONS).compose(yamlTokens(text, lines))) {
    documents.push(document);
    if (documents.length > 1) break;
  }
  return documents;
}

function read(node: unknown, path: string, reading: Reading): unknown {
  spend(reading, 1);
  if (node === null) return null;
  if (isAlias(node)) return aliased(node, path, reading);
  const value = readAnchored(node, path, reading);
  const anchor = (node as { anchor?: string }).anchor;
  if (anchor !== undefined) reading.anchors.set(anchor, value);
  return value;
}

function readAnchored(node: unknown, path: string, reading: Reading): unknown {
  if (isScalar(node)) return readScalar(node, path, reading);
  if (isSeq(node)) return node.items.map((item, index) => read(item, `${path}[${index}]`, reading));
  if (isMap(node)) return readMap(node.items, path, reading);
  throw refusePlace(path, node as Node, reading, 'no value', 'a text, a number, true, false, null, a list or a map');
}

function aliased(node: Node & { source: string }, path: string, reading: Reading): unknown {
  if (reading.anchors.has(node.source)) return reading.anchors.get(node.source);
  throw refusePlace(path, node, reading, 'an alias of what is not above it', 'an anchor (&name) ahead of its alias');
}

function readScalar(node: Node & { value: unknown; source?: string }, path: string, reading: Reading): unknown {
  const { value, source = '' } = node;
  const isPlain = 'type' in node && node.type === 'PLAIN';
  const isUnsafe = typeof value === 'number' && !(Number.isSafeInteger(value) || /[.eE]/.test(source));
  const isNoNumber = typeof value === 'number' && !Number.isFinite(value);
  if (isNoNumber || isUnsafe || (isPlain && AMBIGUOUS_NUMBER.test(source))) {
    throw refusePlace(path, node, reading, 'a number that can be read in several ways', 'such a value in quotes');
  }
  return value;
}

interface Pair {
  readonly key: unknown;
  readonly value: unknown;
}

function readMap(pairs: readonly Pair[], path: string, reading: Reading): Record<string, unknown> {
  const own = new Map<string, unknown>();
  const keys = new Map<string, Node>();
  let merged: ReadonlyMap<string, unknown> = new Map();
  for (const { key, value } of pairs) {
    const name = keyOf(key, path, reading);
    const member = pathOf(path, name);
    const first = keys.get(name);
    if (first) throw duplicate(member, [first, key as Node], reading);
    keys.set(name, key as Node);
    if (isMergeKey(key)) merged = mergedOf(read(value, member, reading), member, value as Node, reading);
    else own.set(name, read(value, member, reading));
  }
  // Own entries, `__proto__` among them, never by assignment.
  return Object.fromEntries([...[...merged].filter(([name]) => !own.has(name)), ...own]);
}

/** What the maps of a merge key add; of several the first one counts. */
function mergedOf(value: unknown, path: string, node: Node, reading: Reading): ReadonlyMap<string, unknown> {
  const merged = new Map<string, unknown>();
  for (const source of Array.isArray(value) ? value : [value]) {
    if (typeof source !== 'object' || source === null || Array.isArray(source)) {
      throw refusePlace(path, node, reading, 'a merge of what is no map', 'maps, or aliases of them');
    }
    const entries = Object.entries(source);
    spend(reading, entries.length);
    for (const [name, inner] of entries) if (!merged.has(name)) merged.set(name, inner);
  }
  return merged;
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.value === '<<' && key.type === 'PLAIN';
}

function keyOf(key: unknown, path: string, reading: Reading): string {
  spend(reading, 1);
  if (isScalar(key) && typeof key.value === 'string') return key.value;
  const node = key === null ? undefined : (key as Node);
  throw refusePlace(path, node, reading, 'a key that is no text', 'texts as keys, numbers in quotes');
}

function spend(reading: Reading, values: number): void {
  reading.left -= values;
  if (reading.left < 0)
    throw refuseText('more values than a Compose file may hold', `at most ${COMPOSE_LIMITS.values}`);
}

function duplicate(path: string, [first, again]: readonly [Node, Node], { lines }: Reading): DomainError {
  const [one, other] = [first, again].map(({ range }) => lines.linePos(range?.[0] ?? 0).line);
  return invalidArgument(path, `the key is there twice, on lines ${one} and ${other}`, 'each key once');
}

function refusePlace(
  path: string,
  node: Node | undefined,
  { lines }: Reading,
  finding: string,
  allowed: string,
): DomainError {
  const where = node?.range ? `${showLine(lines, node.range[0])}: ` : '';
  return invalidArgument(path === '' ? 'file' : path, `${where}${finding}`, allowed);
}
