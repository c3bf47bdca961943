import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import {
  type GetRetentionRunResponse,
  RetentionRunSchema,
  RetentionState,
} from '../../gen/obiente/cloud/v1/retention_pb.ts';
import type { Api } from '../client.ts';
import { AlreadyShown } from '../failures.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { reportJson, showReport, showRuns } from '../retention-report.ts';
import { messageJson } from '../show.ts';

/** Seconds that one call waits for the end of a run; the API takes 30 at most. */
const WAIT_SECONDS = 25;

interface RunOptions {
  readonly dryRun?: boolean;
  readonly wait: boolean;
  readonly node?: string;
  readonly idempotencyKey?: string;
}

/** Adds `obiente retention` with `status` and `run`. */
export function addRetention(program: Command, context: CliContext): void {
  const retention = program
    .command('retention')
    .description('what the platform clears away: for operators of the platform');
  retention
    .command('status', { isDefault: true })
    .description('show the last runs, and what the newest one removed')
    .argument('[run]', 'id of a run, to show its report')
    .action(action<object, [string | undefined]>(context, (invocation, _, runId) => showStatus(invocation, runId)));
  retention
    .command('run')
    .description('clear away now what nothing needs, or attend the run that is under way')
    .option('--dry-run', 'only count what a run would remove')
    .option('--node <node>', 'look at this node only, and at nothing else')
    .option('--no-wait', 'return once the run is stored')
    .option('--idempotency-key <key>', 'same key, same run')
    .action(action<RunOptions, []>(context, (invocation, options) => runNow(invocation, options)));
}

async function showStatus({ openApi, terminal, signal }: Invocation, runId: string | undefined): Promise<void> {
  const api = await openApi();
  const { runs } = runId === undefined ? await api.retention.listRetentionRuns({}) : { runs: [] };
  const shown = runId ?? runs[0]?.id;
  const report = shown === undefined ? undefined : await api.retention.getRetentionRun({ runId: shown }, { signal });
  const newest = report && reportJson(report);
  terminal.document(
    runId === undefined ? { runs: runs.map((run) => messageJson(RetentionRunSchema, run)), newest } : newest,
  );
  if (report === undefined) return terminal.line('retention has not run yet');
  if (runId === undefined) {
    showRuns(terminal, runs);
    terminal.line('');
  }
  showReport(terminal, report);
}

async function runNow({ openApi, terminal, signal }: Invocation, options: RunOptions): Promise<void> {
  const api = await openApi();
  const { dryRun = false, node: nodeId = '', idempotencyKey = randomUUID() } = options;
  const { run, attended } = await api.retention.runRetention({ idempotencyKey, dryRun, nodeId }, { signal });
  if (run === undefined) return;
  terminal.note(`${dryRun ? 'dry run' : 'run'} ${run.id} ${attended ? 'is under way already' : 'began'}`);
  if (!options.wait) {
    terminal.document(messageJson(RetentionRunSchema, run));
    return;
  }
  const report = await untilFinished(api, run.id, signal);
  terminal.document(reportJson(report));
  showReport(terminal, report);
  if (report.run?.state === RetentionState.FAILED) throw new AlreadyShown(report.run.errorMessage);
}

/** The API answers when the run ends, or after its own wait: then it is asked again. */
async function untilFinished(api: Api, runId: string, signal: AbortSignal): Promise<GetRetentionRunResponse> {
  for (;;) {
    const report = await api.retention.getRetentionRun({ runId, waitSeconds: WAIT_SECONDS }, { signal });
    if (report.run?.state !== RetentionState.RUNNING) return report;
  }
}
