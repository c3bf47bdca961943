import type { ErrorCode, LineCounter, YAMLError } from 'yaml';
import { type DomainError, invalidArgument } from '../../domain/errors.ts';

/** Field of a refusal that concerns the file as a whole. */
const FILE = 'file';

/** What each finding of the YAML library is, in words that quote nothing of the text. */
const WORDS: Record<ErrorCode, readonly [finding: string, allowed: string]> = {
  ALIAS_PROPS: ['an alias with an anchor or tag of its own', 'an alias alone'],
  BAD_ALIAS: ['an alias without a name', 'an alias such as *name'],
  BAD_COLLECTION_TYPE: ['a tag that does not fit what follows', 'YAML without tags'],
  BAD_DIRECTIVE: ['an unknown directive', 'YAML 1.2'],
  BAD_DQ_ESCAPE: ['an unknown escape in double quotes', 'the escapes of YAML, or single quotes'],
  BAD_INDENT: ['a line that is indented too little or too much', 'lines of one map or list indented alike'],
  BAD_PROP_ORDER: ['an anchor or tag in the wrong place', 'it ahead of its value'],
  BAD_SCALAR_START: ['a sign that no text begins with', 'such a text in quotes'],
  BLOCK_AS_IMPLICIT_KEY: ['a map or list within one line of another', 'it on a line of its own'],
  BLOCK_IN_FLOW: ['an indented block within brackets', 'values within brackets'],
  DUPLICATE_KEY: ['the same key twice', 'each key once'],
  IMPOSSIBLE: ['no YAML', 'YAML 1.2'],
  KEY_OVER_1024_CHARS: ['a key of more than 1024 characters', 'shorter ones'],
  MISSING_CHAR: ['a quote, bracket, comma or colon that is missing', 'YAML 1.2'],
  MULTILINE_IMPLICIT_KEY: ['a key over several lines', 'keys on one line'],
  MULTIPLE_ANCHORS: ['two anchors of one value', 'one'],
  MULTIPLE_DOCS: ['a second document', 'one document'],
  MULTIPLE_TAGS: ['two tags of one value', 'YAML without tags'],
  NON_STRING_KEY: ['a key that is no text', 'texts as keys'],
  RESOURCE_EXHAUSTION: ['more than a Compose file may hold', 'less'],
  TAB_AS_INDENT: ['a tab as indentation', 'spaces'],
  TAG_RESOLVE_FAILED: ['a tag that is not supported', 'YAML without tags such as !reset, !override and !!binary'],
  UNEXPECTED_TOKEN: ['no YAML from here on', 'YAML 1.2'],
};

/** Refuses a text as a whole. */
export function refuseText(finding: string, allowed: string): DomainError {
  return invalidArgument(FILE, finding, allowed);
}

/** Refuses what stands at an offset of the text, by its line. */
export function refuseAt(lines: LineCounter, offset: number, finding: string, allowed: string): DomainError {
  return invalidArgument(FILE, `${showLine(lines, offset)}: ${finding}`, allowed);
}

/** Refuses what the YAML library has found. */
export function refuseYaml(lines: LineCounter, { code, pos }: YAMLError): DomainError {
  const [finding, allowed] = WORDS[code];
  return refuseAt(lines, pos[0], finding, allowed);
}

/** Line and column of an offset, counted from 1. */
export function showLine(lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `line ${line}, column ${col}`;
}
