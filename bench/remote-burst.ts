import { burst } from "./kinds.ts";

/** The same code under a name that the server has not got: a worker runs it. */
export const remoteBurst = { ...burst, name: "bench-remote-burst" };
