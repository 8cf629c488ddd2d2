import type { DescMethod } from "@bufbuild/protobuf";
import { LimitExceeded } from "../../domain/errors.ts";
import type { Limits, LimitsOf } from "../../domain/tenant-limits.ts";
import { TaskService } from "../../gen/spool/v1/task_service_pb.ts";
import { remembered } from "./remembered.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Whose limits are checked. */
export interface Tenant {
  of: LimitsOf;
  name: string;
  /** Of a principal: those of its credential, always the same object. */
  limits: Limits;
}

/** The use of one tenant at this server. */
interface Use {
  starts: TokenBucket | null;
  streams: number;
}

const STARTS: ReadonlySet<DescMethod> = new Set([TaskService.method.startTask, TaskService.method.runTask]);

/** Whether the open streams of one of the tenants are limited. */
export function areStreamsLimited(tenants: readonly Tenant[]): boolean {
  return tenants.some(({ limits }) => limits.streams !== undefined);
}

/** Enforces the limits of tenants on starts per second and on open streams, at all endpoints of a server together. */
export class TenantLimits {
  readonly #now: () => number;
  readonly #namespaces = new Map<string, Use>();
  /** By the limits of the credential: other credentials of the same principal have their own. */
  readonly #credentials = new WeakMap<Limits, Use>();

  /** @param now a clock in milliseconds, never set back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Counts a call. @throws LimitExceeded */
  admit(method: DescMethod, tenants: readonly Tenant[]): void {
    if (!STARTS.has(method)) return;
    const buckets: TokenBucket[] = [];
    for (const tenant of tenants) {
      const { of, name } = tenant;
      const { startsPerSecond } = tenant.limits;
      if (startsPerSecond === undefined) continue;
      const use = this.#useOf(tenant);
      if (use.starts?.perSecond !== startsPerSecond) use.starts = new TokenBucket(startsPerSecond, this.#now);
      if (!use.starts.hasToken) {
        const what = `the ${of} ${name} starts more than ${startsPerSecond} tasks per second at this server`;
        const retryAfterMs = use.starts.nextReturnMs();
        throw new LimitExceeded(what, { limit: "starts_per_second", max: startsPerSecond, of, retryAfterMs });
      }
      buckets.push(use.starts);
    }
    // A start that one tenant's limit refuses takes nothing from the other's.
    for (const bucket of buckets) bucket.take();
  }

  /** Counts an open stream until the result is disposed. @throws LimitExceeded */
  openStream(tenants: readonly Tenant[]): Disposable {
    const uses: Use[] = [];
    for (const tenant of tenants) {
      const { of, name } = tenant;
      const { streams } = tenant.limits;
      if (streams === undefined) continue;
      const use = this.#useOf(tenant);
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

  #useOf({ of, name, limits }: Tenant): Use {
    const unused = () => ({ starts: null, streams: 0 });
    return of === "namespace"
      ? remembered(this.#namespaces, name, unused)
      : remembered(this.#credentials, limits, unused);
  }
}
