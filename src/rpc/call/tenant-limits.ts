import type { DescMethod } from "@bufbuild/protobuf";
import { LimitExceeded } from "../../domain/errors.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import { TaskService } from "../../gen/spool/v1/task_service_pb.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Whose limits are checked. */
export interface Tenant {
  of: "namespace" | "principal";
  name: string;
  limits: Limits;
}

/** The use of one tenant at this server. */
interface Use {
  starts: TokenBucket | null;
  streams: number;
}

/** After how many tenants the use of idle ones is forgotten. */
const TENANTS_MAX = 10_000;

const STARTS: ReadonlySet<DescMethod> = new Set([TaskService.method.startTask, TaskService.method.runTask]);

/** Whether the open streams of one of the tenants are limited. */
export function areStreamsLimited(tenants: readonly Tenant[]): boolean {
  return tenants.some(({ limits }) => limits.streams !== undefined);
}

/** Enforces the limits of tenants on starts per second and on open streams, at all endpoints of a server together. */
export class TenantLimits {
  readonly #now: () => number;
  readonly #uses = new Map<string, Use>();

  /** @param now a clock in milliseconds, never set back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Counts a call. @throws LimitExceeded */
  admit(method: DescMethod, tenants: readonly Tenant[]): void {
    if (!STARTS.has(method)) return;
    const buckets: TokenBucket[] = [];
    for (const { of, name, limits } of tenants) {
      const { startsPerSecond } = limits;
      if (startsPerSecond === undefined) continue;
      const use = this.#useOf({ of, name });
      if (use.starts?.perSecond !== startsPerSecond) use.starts = new TokenBucket(startsPerSecond, this.#now);
      const waitMs = use.starts.waitMs;
      if (waitMs > 0) {
        const what = `the ${of} ${name} starts more than ${startsPerSecond} tasks per second at this server`;
        throw new LimitExceeded(what, { limit: "starts_per_second", max: startsPerSecond, of, retryAfterMs: waitMs });
      }
      buckets.push(use.starts);
    }
    // A start that one tenant's limit refuses takes nothing from the other's.
    for (const bucket of buckets) bucket.take();
  }

  /** Counts an open stream until the result is disposed. @throws LimitExceeded */
  openStream(tenants: readonly Tenant[]): Disposable {
    const uses: Use[] = [];
    for (const { of, name, limits } of tenants) {
      const { streams } = limits;
      if (streams === undefined) continue;
      const use = this.#useOf({ of, name });
      if (use.streams >= streams) {
        const what = `the ${of} ${name} has its maximum of ${streams} open streams at this server`;
        throw new LimitExceeded(what, { limit: "streams", max: streams, of });
      }
      uses.push(use);
    }
    for (const use of uses) use.streams++;
    return {
      [Symbol.dispose]() {
        for (const use of uses) use.streams--;
      },
    };
  }

  #useOf({ of, name }: Pick<Tenant, "of" | "name">): Use {
    const key = `${of} ${name}`;
    let use = this.#uses.get(key);
    if (use === undefined) {
      if (this.#uses.size >= TENANTS_MAX) this.#forgetIdle();
      this.#uses.set(key, (use = { starts: null, streams: 0 }));
    }
    return use;
  }

  #forgetIdle(): void {
    for (const [key, { starts, streams }] of this.#uses) {
      if (streams === 0 && (starts === null || starts.isFull)) this.#uses.delete(key);
    }
  }
}
