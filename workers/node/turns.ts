/** Runs tasks about one thing one after the other, and those about different things side by side. */
export interface Turns {
  /** Runs a task once all earlier ones of this id have ended, however they did. Answers and fails as the task does. */
  inTurn<Answer>(id: string, task: () => Promise<Answer>): Promise<Answer>;
}

/** Creates the turns. Nothing is kept of an id once its last task has ended. */
export function createTurns(): Turns {
  const last = new Map<string, Promise<void>>();
  return {
    inTurn: (id, task) => {
      const answer = (last.get(id) ?? Promise.resolve()).then(task);
      const ended = answer.then(
        () => undefined,
        () => undefined,
      );
      last.set(id, ended);
      void ended.then(() => {
        if (last.get(id) === ended) last.delete(id);
      });
      return answer;
    },
  };
}
