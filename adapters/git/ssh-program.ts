#!/usr/bin/env node
/**
 * What git runs as `ssh`: it becomes the ssh of the environment, with the options of the environment before git's own
 * arguments. Git takes the name of one program and no options, unless a shell reads them.
 */
const { OBIENTE_SSH_PROGRAM: program = '', OBIENTE_SSH_ARGUMENTS: options = '[]', ...environment } = process.env;

process.execve?.(program, [program, ...(JSON.parse(options) as string[]), ...process.argv.slice(2)], environment);
