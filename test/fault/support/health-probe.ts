import { setTimeout } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { credentials } from "@grpc/grpc-js";
import { openGrpcTransport } from "../../../src/client/transport/grpc-transport.ts";
import type { GrpcTransport } from "../../../src/client/transport/grpc-transport.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "../../../src/gen/grpc/health/v1/health_pb.ts";
import { eventually } from "../../support/eventually.ts";

const PROBE_EVERY_MS = 100;
const ANSWER_MS_MAX = 2_000;

/** What a server's health said last; `down`: nothing, or an error. */
export type ServerHealth = "serving" | "not_serving" | "down";

/** Asks one server of its health over and over, as a load balancer does, until it is stopped. */
export class HealthProbe {
  readonly #transport: GrpcTransport;
  readonly #stopped = new AbortController();
  readonly #probing: Promise<void>;
  readonly #turnedAt = new Map<ServerHealth, number>();
  #health: ServerHealth = "down";

  constructor(address: string) {
    this.#transport = openGrpcTransport(address, credentials.createInsecure());
    this.#probing = this.#probe(this.#stopped.signal);
  }

  get health(): ServerHealth {
    return this.#health;
  }

  /** When its health turned to this last, by performance.now(); null: it has not. */
  turnedAt(health: ServerHealth): number | null {
    return this.#turnedAt.get(health) ?? null;
  }

  /** Waits until its health says this. */
  async until(health: ServerHealth): Promise<void> {
    const check = () => {
      if (this.#health !== health) throw new Error(`it is ${this.#health}`);
    };
    await eventually(check, { describe: `the server's health is ${health}` });
  }

  async #probe(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const health = await this.#ask(signal);
      if (health !== this.#health) this.#turnedAt.set(health, performance.now());
      this.#health = health;
      await setTimeout(PROBE_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #ask(signal: AbortSignal): Promise<ServerHealth> {
    try {
      const read = (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes);
      const answer = await this.#transport.unary(Health.method.check, {}, { timeoutMs: ANSWER_MS_MAX, signal, read });
      return answer.status === HealthCheckResponse_ServingStatus.SERVING ? "serving" : "not_serving";
    } catch {
      return "down";
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new Error("the probe has ended"));
    await this.#probing;
    this.#transport.close();
  }
}
