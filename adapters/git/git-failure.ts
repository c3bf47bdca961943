import { DomainError, type ErrorCode, isDomainError } from '../../domain/errors.ts';
import { maskValues } from '../../domain/mask-values.ts';
import { ProcessFailed } from '../processes/run-process.ts';

/** How much of git's own words an error carries. */
const QUOTED_CHARACTERS = 300;

interface Finding {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  readonly words: string;
  readonly hint: string;
}

/**
 * What git 2.37 to 2.50, OpenSSH 8 to 10 and the large servers say, in the order in which it is looked for. A server
 * may print any of these sentences: that makes the words wrong for its own users and no more.
 */
const FINDINGS: readonly Finding[] = [
  {
    pattern:
      /could not read (?:Username|Password)|Authentication failed|returned error: 40[13]\b|Permission denied \(/i,
    code: 'SOURCE_REFUSED',
    words: 'the server refused the credential, or wants one',
    hint: 'Give the source a credential that may read this repository.',
  },
  {
    pattern: /Host key verification failed|HOST IDENTIFICATION HAS CHANGED/i,
    code: 'SOURCE_REFUSED',
    words: 'the server has another host key than the known one',
    hint: 'Compare its host key with what its operator publishes, then correct the known hosts of the credential.',
  },
  {
    pattern: /returned error: 3\d\d\b/,
    code: 'SOURCE_REFUSED',
    words: 'the server redirects to another address',
    hint: 'Use the address that it redirects to.',
  },
  {
    pattern: /certificate|SSL: no alternative/i,
    code: 'SOURCE_REFUSED',
    words: 'the certificate of the server is not trusted',
    hint: 'Renew the certificate, or ask the operator to trust its authority.',
  },
  {
    pattern: /not our ref|unadvertised object|want [0-9a-f]+ not valid|did not send all necessary objects/i,
    code: 'SOURCE_REFUSED',
    words: 'the repository has no such commit',
    hint: 'Push the commit, or deploy another one.',
  },
  {
    pattern: /repository .*not found|not appear to be a git repository|returned error: (?:404|410)\b|does not exist/i,
    code: 'SOURCE_REFUSED',
    words: 'there is no such repository, or the credential may not see it',
    hint: 'Check the URL, and give the source a credential that may read this repository.',
  },
  {
    pattern: /dumb http transport/i,
    code: 'SOURCE_REFUSED',
    words: 'the server does not speak the smart HTTP protocol of Git',
    hint: 'Check the URL: it has to be the one to clone from.',
  },
  {
    pattern: /Out of memory/i,
    code: 'SOURCE_REFUSED',
    words: 'it takes more memory to unpack than is allowed',
    hint: 'Take large files and their history out of the repository.',
  },
  {
    pattern:
      /error: object \w+: \w+: |fsck error|object corrupt|mismatched algorithms|bad (?:object|tree|pack)|invalid object/i,
    code: 'SOURCE_REFUSED',
    words: 'it holds broken or unsafe objects',
    hint: 'Look at the repository with git fsck.',
  },
];

const UNREACHED: Omit<Finding, 'pattern'> = {
  code: 'SOURCE_UNAVAILABLE',
  words: 'the server cannot be reached, or broke off',
  hint: 'Try again later.',
};

/** Trees nested without end are what git crashes on; it would do so again. */
const CRASHED: Omit<Finding, 'pattern'> = {
  code: 'SOURCE_REFUSED',
  words: 'git crashes on it',
  hint: 'Look at the repository with git fsck.',
};

/**
 * Turns whatever ended a run of git into this platform's words: refused where no repetition can help, unavailable
 * otherwise.
 *
 * @param what was tried, for example "cannot fetch commit x of y".
 * @param secrets are blanked in everything that git said.
 */
export function toSourceError(what: string, error: unknown, secrets: readonly string[]): unknown {
  if (isDomainError(error) || !(error instanceof ProcessFailed)) return error;
  const { lines, signal } = error;
  const known = FINDINGS.find(({ pattern }) => lines.some((line) => pattern.test(line)));
  const { code, words, hint } = known ?? (signal === 'SIGSEGV' ? CRASHED : UNREACHED);
  const said =
    lines.find((line) => known?.pattern.test(line)) ??
    lines.findLast((line) => /^(?:fatal|error|remote|ERROR):/.test(line)) ??
    error.message;
  return new DomainError(code, `${what}: ${words}; git says: ${plainLine(said, secrets)}`, { hint });
}

/** A line of git or of a server as it may be shown: one line, without secrets and without what a terminal obeys. */
export function plainLine(line: string, secrets: readonly string[]): string {
  const text = maskValues(line, secrets).replace(/[\p{Cc}\p{Cf}\p{Cs}\s]+/gu, ' ');
  return text.length > QUOTED_CHARACTERS ? `${text.slice(0, QUOTED_CHARACTERS)}…` : text.trim();
}
