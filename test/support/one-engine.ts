import { NO_LIMITS } from "../../src/domain/tenant-limits.ts";
import type { TaskEngine } from "../../src/engine/api/task-engine.ts";
import type { Engines } from "../../src/rpc/call/guard.ts";
import type { Authenticator } from "../../src/rpc/call/identity.ts";
import { authenticateBy } from "../../src/server/auth/authenticate.ts";
import { sharedToken } from "../../src/server/auth/shared-token.ts";

/** The engines of a server with one namespace. */
export function oneEngine(engine: TaskEngine): Engines {
  return { defaultNamespace: "default", of: () => engine, limitsOf: () => NO_LIMITS };
}

/** The options of a listener that admits calls with a token; undefined: it admits all calls. */
export function admission(token: string | undefined): { authenticator?: Authenticator } {
  return token === undefined ? {} : { authenticator: authenticateBy([sharedToken(token)]) };
}
