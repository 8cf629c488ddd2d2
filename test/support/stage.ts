import type { JsonObject } from "../../src/domain/json.ts";
import type { Kind, TaskContext } from "../../src/domain/kind.ts";
import { defineKind } from "../../src/kinds/define-kind.ts";
import * as v from "valibot";

/** The code of one task, played by the test. */
export interface Actor {
  /** What StartTask is to be given as params. */
  readonly params: { key: string };
  /** Resolves with the context once an attempt runs; each attempt has its own turn. */
  enter(): Promise<TaskContext<unknown>>;
  /** Returns this as the attempt's result. */
  leave(result?: JsonObject): void;
  /** Throws this from the attempt. */
  fail(error: Error): void;
}

/** A kind whose code is the test itself: what runs, and when, is decided line by line and never by time. */
export class Stage {
  readonly #turns = new Map<string, Turn[]>();
  readonly kind: Kind = defineKind({
    name: "stage",
    params: v.strictObject({ key: v.string() }),
    run: (task) => {
      const turn = this.#turnOf(task.params.key, task.attempt);
      turn.entered.resolve(task);
      return turn.left.promise;
    },
  });

  /** @param attempt whose code it plays, from 1 */
  actor(key: string = crypto.randomUUID(), attempt = 1): Actor {
    const turn = () => this.#turnOf(key, attempt);
    return {
      params: { key },
      enter: () => turn().entered.promise,
      leave: (result = {}) => turn().left.resolve(result),
      fail: (error) => turn().left.reject(error),
    };
  }

  #turnOf(key: string, attempt: number): Turn {
    const turns = this.#turns.get(key) ?? [];
    this.#turns.set(key, turns);
    return (turns[attempt] ??= { entered: Promise.withResolvers(), left: Promise.withResolvers() });
  }
}

interface Turn {
  entered: PromiseWithResolvers<TaskContext<unknown>>;
  left: PromiseWithResolvers<JsonObject>;
}
