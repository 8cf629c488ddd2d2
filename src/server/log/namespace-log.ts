import type { Logger } from "pino";

/**
 * Returns a log whose lines also have `task_namespace`: the namespace of their tasks, if it is not that of the server's
 * settings, which all lines have. Its level follows that of the server's log.
 */
export function namespaceLog(log: Logger, namespace: string): Logger {
  const child = log.child({ task_namespace: namespace });
  log.on("level-change", (level, _value, _before, _valueBefore, changed) => {
    if (changed === log) child.level = level;
  });
  return child;
}
