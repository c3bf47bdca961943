import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

interface Entry {
  readonly name: string;
  readonly value: string;
  /** `NAME=value`: without it a role does not start. `#NAME=value`: this is the default anyway. */
  readonly isRequired: boolean;
  readonly comment: string;
}

const ENTRY = /^(#?)([A-Z][A-Z0-9_]*)=(.*)$/;

function readExample(): Entry[] {
  const entries: Entry[] = [];
  let comment = '';
  for (const line of readFileSync(join(import.meta.dirname, '../.env.example'), 'utf8').split('\n')) {
    const [, mark, name, value] = ENTRY.exec(line) ?? [];
    if (name !== undefined && value !== undefined) {
      entries.push({ name, value, isRequired: mark === '', comment });
      comment = '';
    } else {
      comment = line.startsWith('# ') ? `${comment}${line.slice(2)} ` : '';
    }
  }
  return entries;
}

/** Every variable of every role, with the schema that each role has for it. */
async function readSchemas(): Promise<Map<string, z.ZodType[]>> {
  const schemas = new Map<string, z.ZodType[]>();
  const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  for (const file of files) {
    const exported: Record<string, unknown> = await import(`./${file}`);
    const objects = Object.values(exported).filter((value) => value instanceof z.ZodObject);
    for (const [name, schema] of objects.flatMap((object) => Object.entries(object.shape))) {
      schemas.set(name, [...(schemas.get(name) ?? []), schema as z.ZodType]);
    }
  }
  return schemas;
}

const entries = readExample();
const schemas = await readSchemas();

describe('.env.example', () => {
  it('has every variable of every role, each once, and no other', () => {
    expect(entries.map(({ name }) => name).sort()).toEqual([...schemas.keys()].sort());
  });

  it('says of each what it means', () => {
    expect(entries.filter(({ comment }) => comment.length < 15).map(({ name }) => name)).toEqual([]);
  });

  it.each(entries.map((entry) => [entry.name, entry] as const))(
    'shows the default of %s, or a valid value',
    (_, entry) => {
      for (const schema of schemas.get(entry.name) ?? []) {
        const byDefault = schema.safeParse(undefined);
        const isOptional = byDefault.success && byDefault.data === undefined;
        if (isOptional && entry.value === '') continue;
        expect(schema.safeParse(entry.value)).toMatchObject({ success: true });
        if (byDefault.success && !isOptional) expect(schema.parse(entry.value)).toEqual(byDefault.data);
      }
    },
  );

  it('leaves open only what some role cannot start without', () => {
    const required = [...schemas].filter(([, ofRoles]) =>
      ofRoles.some((schema) => !schema.safeParse(undefined).success),
    );
    expect(
      entries
        .filter(({ isRequired }) => isRequired)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(required.map(([name]) => name).sort());
  });
});
