import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { createTestRepository, type TestRepository } from '../support/git-repository.ts';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import type { PlatformFacts } from '../support/platform.ts';
import type { useTestDocker } from '../support/test-docker.ts';
import type { SpecInit, Subject } from './deployed.ts';

/** A repository of a test's own. */
export interface ServedRepository extends TestRepository {
  readonly name: string;
  readonly url: string;
  /** Commits an application that answers with the mark, and further files, on top of what was. */
  push(mark: string, files?: Record<string, string>): string;
}

/** Starts, for the tests of this file, the HTTPS server of repositories that the platform's tenants may name. */
export function useGitServer({ gitPorts, stateDir }: PlatformFacts, docker: ReturnType<typeof useTestDocker>) {
  let root: string;
  let server: GitServer;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'obiente-served-'));
    server = await startGitServer(root, stateDir, { name: 'localhost', port: gitPorts[0] ?? 0 });
  });
  afterAll(async () => {
    await server?.stop();
    await rm(root, { recursive: true });
  });
  return {
    server: () => server,
    repository: (): ServedRepository => {
      const name = `app-${randomUUID().slice(0, 8)}.git`;
      const repository = createTestRepository(root, name);
      let parent: string | undefined;
      const push = (mark: string, files: Record<string, string> = {}): string => {
        const all = { Dockerfile: servingDockerfile(docker.corner.image), 'index.html': mark, ...files };
        parent = repository.commit(all, parent === undefined ? {} : { parent });
        return parent;
      };
      return { ...repository, name, url: server.url(name), push };
    },
  };
}

/** Serves the page beside it. */
export function servingDockerfile(image: string): string {
  return `FROM ${image}\nCOPY index.html /www/\nCMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n`;
}

/** A small application from a repository. */
export function fromGit(url: string, changes: Record<string, unknown> = {}): SpecInit {
  const limits = { cpuCores: 0.2, memoryBytes: 16n * 1024n * 1024n };
  return { source: { case: 'git', value: { url, ...changes } }, port: 8080, limits } as SpecInit;
}

/** The commit to which the newest revision is pinned. */
export async function commitOf(subject: Subject): Promise<string> {
  const { spec } = await subject.get();
  return spec?.source.case === 'git' ? spec.source.value.commit : '';
}
