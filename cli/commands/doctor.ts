import type { Command } from 'commander';
import { AlreadyShown } from '../failures.ts';
import { checkComponents, checkPlatform } from '../health-checks.ts';
import { action, type CliContext } from '../invocation.ts';
import { plainText } from '../plain-text.ts';

/** Adds `obiente doctor`. */
export function addDoctor(program: Command, context: CliContext): void {
  program
    .command('doctor')
    .description('check every part of the installation and say what to do')
    .action(
      action<object, []>(context, async ({ terminal }) => {
        const { paint } = terminal;
        const findings = [...(await checkComponents(context)), ...(await checkPlatform(context))];
        const wrong = findings.filter(({ ok }) => !ok);
        terminal.document({ ok: wrong.length === 0, findings });
        for (const { name, ok, detail, fix } of findings) {
          const sign = ok ? paint.green('✓') : paint.red('✗');
          terminal.line(`${sign} ${name.padEnd(16)}${plainText(detail)}`);
          if (!ok && fix !== undefined) terminal.line(`  ${''.padEnd(16)}→ ${plainText(fix)}`);
        }
        if (wrong.length > 0) throw new AlreadyShown(`${wrong.length} of ${findings.length} parts need attention`);
      }),
    );
}
