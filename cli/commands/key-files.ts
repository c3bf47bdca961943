import { resolve } from 'node:path';
import type { Command } from 'commander';
import { keyId } from '../../adapters/sealing/keyring.ts';
import { DomainError } from '../../domain/errors.ts';
import { action, type CliContext } from '../invocation.ts';
import { changeKeyFile, type Keys, makeKey, readKeyFile } from '../key-file.ts';
import type { Terminal } from '../terminal.ts';

interface AddOptions {
  readonly first?: boolean;
}

const FILE = 'the file of MASTER_KEY_FILE or PAYLOAD_KEY_FILE';

/** Adds `obiente keys show`, `add`, `use` and `drop`: they work on a file, and need no platform. */
export function addKeyFiles(keys: Command, context: CliContext): void {
  keys
    .command('show')
    .description('show the names of the keys in a file; the first one writes, all read')
    .argument('<file>', FILE)
    .action(
      action<object, [string]>(context, async ({ terminal }, _, file) => {
        show(terminal, (await readKeyFile(resolve(context.cwd, file))).map(keyId));
      }),
    );
  keys
    .command('add')
    .description('add a fresh key to a file, which is made if it is missing; it only reads until it is used')
    .argument('<file>', FILE)
    .option('--first', 'let it write at once: only where a single process has the file')
    .action(
      action<AddOptions, [string]>(context, async ({ terminal }, { first = false }, file) => {
        const add = (present: Keys): Keys => (first ? [makeKey(), ...present] : [...present, makeKey()]);
        show(terminal, await changeKeyFile(resolve(context.cwd, file), add));
      }),
    );
  keys
    .command('use')
    .description('let a key of a file write, and the others only read')
    .argument('<file>', FILE)
    .argument('<key>', 'its name')
    .action(
      action<object, [string, string]>(context, async ({ terminal }, _, file, id) => {
        const use = (present: Keys): Keys => [find(present, id), ...without(present, id)];
        show(terminal, await changeKeyFile(resolve(context.cwd, file), use));
      }),
    );
  keys
    .command('drop')
    .description('take a key out of a file, for ever: only once "obiente keys" shows that nothing needs it')
    .argument('<file>', FILE)
    .argument('<key>', 'its name; never the one that writes')
    .action(
      action<object, [string, string]>(context, async ({ terminal }, _, file, id) => {
        const drop = (present: Keys): Keys => {
          if (keyId(find(present, id)) === keyId(present[0] ?? makeKey())) throw writes(id);
          return without(present, id);
        };
        show(terminal, await changeKeyFile(resolve(context.cwd, file), drop));
      }),
    );
}

function show(terminal: Terminal, ids: readonly string[]): void {
  terminal.document(ids.map((id, index) => ({ id, writes: index === 0 })));
  for (const [index, id] of ids.entries()) terminal.line(`${id}  ${index === 0 ? 'writes and reads' : 'reads'}`);
  if (ids.length === 0) terminal.line('no keys');
}

function find(keys: Keys, id: string): Uint8Array {
  const found = keys.find((key) => keyId(key) === id);
  if (found) return found;
  throw new DomainError('NOT_FOUND', `the file has no key ${id}; it has ${keys.map(keyId).join(', ') || 'none'}`);
}

function without(keys: Keys, id: string): Keys {
  return keys.filter((key) => keyId(key) !== id);
}

function writes(id: string): DomainError {
  return new DomainError('INVALID_ARGUMENT', `key ${id} is the one that writes`, {
    field: 'key',
    hint: 'Let another one write first, with "obiente keys use".',
  });
}
