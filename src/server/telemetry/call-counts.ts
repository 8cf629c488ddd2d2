import type { DescMethod } from "@bufbuild/protobuf";
import type { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Meter } from "@opentelemetry/api";
import { observeSeries, seriesOf } from "./time-series.ts";
import type { Series } from "./time-series.ts";

/** Counts the start of a call and returns a function that counts its end. */
export type CountCall = (method: DescMethod) => (code: Code | "ok") => void;

/** The calls of one method at one endpoint. */
interface MethodCalls {
  /** The number of open streams; null for a unary method. */
  readonly open: Series | null;
  readonly ended: Map<Code | "ok", Series>;
}

/** Counts calls by endpoint, as plain numbers that are read at each scrape. */
export class CallCounts {
  readonly #methods: MethodCalls[] = [];

  constructor(meter: Meter) {
    const calls = { name: "spool_calls_total", description: "Ended calls by code" };
    observeSeries(meter, calls, () => this.#methods.flatMap(({ ended }) => [...ended.values()]));
    meter.createObservableGauge("spool_open_streams", { description: "Open streams" }).addCallback((result) => {
      for (const { open } of this.#methods) if (open !== null) result.observe(open.count, open.attributes);
    });
  }

  /** Returns the counter of an endpoint. @param endpoint the value of the label `door` */
  at(endpoint: string): CountCall {
    const known = new Map<DescMethod, MethodCalls>();
    return (method) => {
      let calls = known.get(method);
      if (calls === undefined) known.set(method, (calls = this.#add(endpoint, method)));
      const { open, ended } = calls;
      if (open !== null) open.count++;
      return (code) => {
        if (open !== null) open.count--;
        let series = ended.get(code);
        if (series === undefined) {
          const word = code === "ok" ? code : codeToString(code);
          ended.set(code, (series = seriesOf({ door: endpoint, method: method.name, code: word })));
        }
        series.count++;
      };
    };
  }

  #add(endpoint: string, { name, methodKind }: DescMethod): MethodCalls {
    const open = methodKind === "unary" ? null : seriesOf({ door: endpoint, method: name });
    const calls: MethodCalls = { open, ended: new Map() };
    this.#methods.push(calls);
    return calls;
  }
}
