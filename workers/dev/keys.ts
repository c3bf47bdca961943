import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateControlKey } from '../../adapters/tokens/keys.ts';

/** Where the secrets of this installation are. */
export interface KeyFiles {
  /** Encrypts what Temporal stores. */
  readonly payload: string;
  /** Wraps the organizations' data keys. */
  readonly master: string;
  /** Signs what the API says to gateways. */
  readonly control: string;
  /** Lets a node join. */
  readonly joinToken: string;
  /** Lets an ingress read the routes. */
  readonly traefikToken: string;
  /** Superuser of the embedded PostgreSQL. */
  readonly postgresPassword: string;
  /** Owner of the control database. */
  readonly databasePassword: string;
  /** Owner of the metrics database. */
  readonly metricsPassword: string;
  /** The role with which streamers insert. */
  readonly metricsWriterPassword: string;
  /** Of the API in the metrics database. */
  readonly metricsReaderPassword: string;
}

const KEY_BYTES = 32;

/** Makes what is missing of the secrets, each once and for ever, readable by their owner only. */
export function ensureKeys(stateDir: string): KeyFiles {
  const folder = join(stateDir, 'keys');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const keep = (name: string, make: () => string): string => keepSecret(join(folder, name), make);
  const key = (): string => randomBytes(KEY_BYTES).toString('base64');
  const token = (): string => randomBytes(KEY_BYTES).toString('hex');
  return {
    payload: keep('payload.key', key),
    master: keep('master.key', key),
    control: keep('control.jwk', () => JSON.stringify(generateControlKey().privateJwk)),
    joinToken: keep('join.token', token),
    traefikToken: keep('traefik.token', token),
    postgresPassword: keep('postgres.password', token),
    databasePassword: keep('database.password', token),
    metricsPassword: keep('metrics.password', token),
    metricsWriterPassword: keep('metrics-writer.password', token),
    metricsReaderPassword: keep('metrics-reader.password', token),
  };
}

/** The secret in a file, without the line break at its end. */
export function readSecret(file: string): string {
  return readFileSync(file, 'utf8').trim();
}

/** A link appears whole or not at all, and never replaces a secret that is in use. */
function keepSecret(file: string, make: () => string): string {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    readFileSync(file);
    return file;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  writeFileSync(temporary, `${make()}\n`, { mode: 0o600 });
  try {
    linkSync(temporary, file);
  } catch (error) {
    // Made by another process meanwhile, and so the one that counts.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary);
  }
  return file;
}
