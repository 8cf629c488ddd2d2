import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";
import { startOtlpReceiver } from "../support/otlp-receiver.ts";
import type { OtlpReceiver, ReceivedSpan } from "../support/otlp-receiver.ts";
import { createDatabase } from "../support/postgres.ts";
import type { TestDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import type { ServerProcess } from "../support/server-process.ts";

export const SERVICE = "spool.v1.TaskService";
const ROOT = join(import.meta.dirname, "..", "..");
const KINDS = [join(ROOT, "test", "support", "traced-kinds.ts"), join(ROOT, "examples", "knowledge", "kinds.ts")];

/** The attributes that a section of docs/telemetry.md has in its table, after a line that begins so. */
export async function documentedAttributes(opening: string): Promise<string[]> {
  const text = await readFile(join(ROOT, "docs", "telemetry.md"), "utf8");
  const [, section = ""] = text.split(`\n${opening}`);
  const [table = ""] = /^\|[^]*?(?=\n\n)/m.exec(section) ?? [];
  const cells = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => cell!.split(", "));
  return cells.map((cell) => cell.replaceAll("`", "")).sort();
}

/** Somebody who calls from within a trace of his own. */
export interface Caller {
  traceId: string;
  spanId: string;
  headers: Record<string, string>;
}

export function newCaller({ isSampled = true } = {}): Caller {
  const hex = (length: number) => crypto.randomUUID().replaceAll("-", "").slice(0, length);
  const [traceId, spanId] = [hex(32), hex(16)];
  return { traceId, spanId, headers: { traceparent: `00-${traceId}-${spanId}-0${isSampled ? 1 : 0}` } };
}

export function single<Item>(items: readonly Item[]): Item {
  assert.equal(items.length, 1);
  return items[0]!;
}

/** Calls a server by Connect, in JSON. */
export async function call<Answer>(
  { url }: ServerProcess,
  method: string,
  request: object,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${url}/${SERVICE}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(request),
  });
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as Answer;
}

/** Replicas on one database, whose spans come to one receiver. */
export class TracedService implements AsyncDisposable {
  readonly receiver: OtlpReceiver;
  readonly #database: TestDatabase;
  readonly #replicas = new AsyncDisposableStack();

  private constructor(receiver: OtlpReceiver, database: TestDatabase) {
    this.receiver = receiver;
    this.#database = database;
  }

  static async start(): Promise<TracedService> {
    return new TracedService(await startOtlpReceiver(), await createDatabase());
  }

  /** @param instance what its spans say that they are of */
  async startReplica(instance: string, settings: Record<string, string> = {}): Promise<ServerProcess> {
    const replica = await startServerProcess({
      args: KINDS.flatMap((file) => ["--kinds", file]),
      environment: {
        SPOOL_DATABASE_URL: this.#database.url,
        SPOOL_LEASE_MS: "1000",
        SPOOL_CANCEL_GRACE_MS: "200",
        OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${instance}`,
        ...this.receiver.environment,
        ...settings,
      },
    });
    return this.#replicas.use(replica);
  }

  /** The span of a caller's one call, when it is there. */
  spanOfCall({ traceId }: Caller): Promise<ReceivedSpan> {
    return eventually(() => single(this.receiver.spans.filter((span) => span.traceId === traceId)));
  }

  /** The spans about a task besides those of calls, in the order in which they came, when there are so many. */
  spansOf(taskId: string, count: number): Promise<ReceivedSpan[]> {
    return eventually(
      () => {
        const found = this.receiver.spans.filter(({ attributes }) => attributes["spool.task.id"] === taskId);
        assert.equal(found.length, count);
        return found;
      },
      { timeoutMs: 30_000 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#replicas.disposeAsync();
    await this.#database[Symbol.asyncDispose]();
    await this.receiver[Symbol.asyncDispose]();
  }
}
