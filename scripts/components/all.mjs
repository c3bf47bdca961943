import * as busybox from './busybox.mjs';
import * as dependencies from './dependencies.mjs';
import * as docker from './docker.mjs';
import * as examples from './examples.mjs';
import * as git from './git.mjs';
import * as node24 from './node24.mjs';
import * as postgres from './postgres.mjs';
import * as registry from './registry.mjs';
import * as sshd from './sshd.mjs';
import * as temporal from './temporal.mjs';
import * as traefik from './traefik.mjs';
import * as versitygw from './versitygw.mjs';

/**
 * A part of the machine that the set-up cares for.
 *
 * @typedef {object} Component
 * @property {string} name
 * @property {(context: import('../machine/context.mjs').SetupContext) => Promise<import('../machine/context.mjs').CheckResult>} check
 *   quick, changes nothing
 * @property {(context: import('../machine/context.mjs').SetupContext) => Promise<object>} ensure installs, builds or
 *   starts what is missing and returns its entry in toolchain.json
 */

/**
 * Every part of the platform, in the order in which one needs the other.
 *
 * @type {readonly Component[]}
 */
export const COMPONENTS = [dependencies, node24, docker, busybox, examples, git, temporal, traefik, postgres];

/**
 * What only tests need, beside those.
 *
 * @type {readonly Component[]}
 */
export const TEST_COMPONENTS = [registry, sshd, versitygw];
