import type { GitPorts } from '../../activities/git-ports.ts';

const none = async (): Promise<never> => {
  throw new Error('this test has no Git server');
};

/** For nodes whose test is about other things than Git. */
export const withoutGit: GitPorts = { resolveRef: none, withCommit: none, forget: async () => undefined };
