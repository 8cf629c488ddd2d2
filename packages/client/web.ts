// What `@spooltape/client/web` exports: callers and followers in browsers and edge runtimes, over Connect.

export * from "../../src/client/web.ts";
