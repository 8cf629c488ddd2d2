// What `@spooltape/client` exports: callers, followers, workers, and kinds of task.

export * from "../../src/client/client.ts";
export * from "../../src/kinds/define-kind.ts";
