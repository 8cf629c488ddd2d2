import { Draining, SessionLost } from "../../domain/errors.ts";
import { outsideSpans } from "../../telemetry/trace-context.ts";
import type { RunnerSurroundings } from "../cluster/runner.ts";
import type { Runners } from "../cluster/runners.ts";
import type { Worker } from "../api/task-engine.ts";
import { WorkerConnection } from "./worker-connection.ts";
import type { Send, WorkerHello } from "../api/worker-protocol.ts";

/** The workers connected to this process. */
export class Workers {
  readonly #surroundings: RunnerSurroundings;
  readonly #runners: Runners;
  readonly #leaseMs: number;
  readonly #connections = new Set<WorkerConnection>();
  /** Applies to all connections, also to those that open later. */
  #isDraining = false;
  #isClosed = false;

  constructor({
    surroundings,
    runners,
    leaseMs,
  }: {
    surroundings: RunnerSurroundings;
    runners: Runners;
    leaseMs: number;
  }) {
    this.#surroundings = surroundings;
    this.#runners = runners;
    this.#leaseMs = leaseMs;
  }

  get count(): number {
    return this.#connections.size;
  }

  /** Connects a worker, and ends its former stream to this process, if any. @throws StoreUnavailable */
  async connect(hello: WorkerHello, send: Send): Promise<Worker> {
    this.#endFormer(hello.resumeToken);
    const parts = { surroundings: this.#surroundings, runners: this.#runners, leaseMs: this.#leaseMs, hello, send };
    const onClosed = (closed: WorkerConnection) => this.#connections.delete(closed);
    // The loops of the connection serve many tasks, so they do not belong to the span of this call.
    const connection = await outsideSpans(() => WorkerConnection.open({ ...parts, onClosed }));
    if (!connection.isClosed) this.#connections.add(connection);
    if (this.#isDraining) void connection.drain();
    if (this.#isClosed) void connection.end(new Draining());
    return connection;
  }

  /** Assigns no more tasks to any worker. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await Promise.all([...this.#connections].map((connection) => connection.drain()));
  }

  /** Ends all streams. The workers resume their sessions at other servers, or here when this process is back. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#connections].map((connection) => connection.end(new Draining())));
  }

  /** Ends the former stream of a worker that has reconnected before this process found that stream dead. */
  #endFormer(token: string | null): void {
    if (token === null) return;
    for (const connection of this.#connections) {
      if (!connection.isResumedBy(token)) continue;
      void connection.end(new SessionLost("session resumed on another stream"));
    }
  }
}
