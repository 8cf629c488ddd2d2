import { signal } from "@preact/signals";
import { ConnectError, Code } from "@connectrpc/connect";
import { errorFromJson } from "@connectrpc/connect/protocol-connect";
import { readConnectError } from "../../codec/connect-error.ts";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import { withRetries } from "../../client/retry.ts";
import type { Principal } from "../../domain/principal.ts";
import { connection } from "../connection.ts";
import { originRefusal } from "../origin-refusal.ts";

/** Who uses the page, and what this caller may do. */
export interface Caller extends Omit<Principal, "taskId"> {
  /** The namespace of callers that may use it and have chosen none. */
  readonly defaultNamespace: string;
}

/** What the server says about this browser. The credential itself is in a cookie that scripts cannot read. */
interface Session {
  /** null: the caller must sign in. */
  readonly caller: Caller | null;
  /** Why the caller must sign in, such as `missing` or `expired`. */
  readonly problem?: string;
  /** When the session ends; null: the caller needs none. */
  readonly expiresAt?: string | null;
  /** How people can sign in: with a token, and at the identity provider of this host; null: there is none. */
  readonly signIn: { readonly token: boolean; readonly provider: string | null };
}

/** How long an answer may take. */
const ANSWER_MS = 15_000;

/** null: not read yet. */
export const session = signal<Session | null>(null);
/** Why the session cannot be read. */
export const sessionError = signal<SpoolRpcError | null>(null);

/** Reads the session, and retries while the server is unreachable. */
export async function readSession(): Promise<void> {
  try {
    const onFailure = () => (connection.value = "lost");
    keep(await withRetries(() => ask("GET"), { retryMs: Infinity, onFailure }));
  } catch (error) {
    const failure = error as SpoolRpcError;
    if (failure.reason === "ORIGIN_REFUSED") originRefusal.value = failure;
    else sessionError.value = failure;
  }
}

/** Signs in with a token, which the server keeps in a cookie. @throws SpoolRpcError */
export async function signIn(token: string): Promise<void> {
  keep(await ask("POST", { token }));
}

/** Signs out and reloads, which also drops the data that was read. */
export async function signOut(): Promise<void> {
  try {
    await ask("DELETE");
    location.reload();
  } catch (error) {
    sessionError.value = error as SpoolRpcError;
  }
}

/** Changes the session only if it is another one, so that no page is opened again. */
function keep(read: Session): void {
  sessionError.value = null;
  if (JSON.stringify(read) !== JSON.stringify(session.peek())) session.value = read;
}

/** @throws SpoolRpcError */
async function ask(method: "GET" | "POST" | "DELETE", body?: object): Promise<Session> {
  try {
    const response = await fetch(new URL("console/session", location.href), {
      method,
      // The header proves to the server that this request is of its own page.
      headers: { "spool-console": "1", "content-type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (response.ok) return method === "DELETE" ? ({} as Session) : ((await response.json()) as Session);
    const fallback = new ConnectError(`HTTP ${response.status}`, Code.Unavailable);
    throw errorFromJson(await response.json(), undefined, fallback);
  } catch (error) {
    throw readConnectError(error);
  }
}
