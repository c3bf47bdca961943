import { createLog } from '../adapters/logging/log.ts';
import { bundleWorkflows } from '../adapters/temporal/workflow-bundle.ts';

/** Bundles the workflows while an image is built, so that every start of an orchestrator finds them. */
await bundleWorkflows(createLog({ role: 'make-bundle', level: 'info' }));
