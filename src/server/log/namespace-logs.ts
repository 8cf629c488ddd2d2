import type { LevelChangeEventListener, Logger } from "pino";

/**
 * The logs of namespaces. Their lines also have `task_namespace`: the namespace of their tasks, if it is not the one of
 * the server's settings, which all lines have. Their level follows that of the server's log.
 */
export class NamespaceLogs {
  readonly #log: Logger;
  /** One for each namespace, however often its engine is opened: when it moves, or while its shard is down. */
  readonly #children = new Map<string, Logger>();
  readonly #onLevel: LevelChangeEventListener = (level, _value, _before, _valueBefore, changed) => {
    if (changed === this.#log) for (const child of this.#children.values()) child.level = level;
  };

  constructor(log: Logger) {
    this.#log = log;
    log.on("level-change", this.#onLevel);
  }

  of(namespace: string): Logger {
    let child = this.#children.get(namespace);
    if (child === undefined) {
      child = this.#log.child({ task_namespace: namespace });
      this.#children.set(namespace, child);
    }
    return child;
  }

  [Symbol.dispose](): void {
    this.#log.off("level-change", this.#onLevel);
  }
}
