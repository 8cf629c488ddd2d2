import { context, createNoopMeter, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Attributes, Context, Histogram, Meter, Span } from "@opentelemetry/api";

/** Without an SDK it costs next to nothing. */
const tracer = trace.getTracer("knowledge");

/** A model behind a server, as the conventions for generative AI describe it. */
export interface TracedModel {
  /** Whose API the server speaks. */
  provider: string;
  model: string;
  /** The most tokens of an answer; undefined: as many as the model likes. */
  maxTokens?: number | undefined;
  server: { address: string; port: number };
}

/** What is known of an answer when it is there. */
export interface ModelAnswer {
  id?: string | undefined;
  model?: string | undefined;
  finishReason?: string | null;
  inputTokens?: number | undefined;
  outputTokens?: number | undefined;
}

// The buckets are those of the conventions.
const TOKEN_BUCKETS = [
  1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864,
];
const SECOND_BUCKETS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/**
 * The spans and histograms of calls to a model, by OpenTelemetry's conventions for generative AI. Nothing of what is
 * asked or answered is in them: that is the tape's.
 */
export class ModelCalls {
  readonly #of: TracedModel;
  readonly #common: Attributes;
  readonly #tokens: Histogram;
  readonly #duration: Histogram;

  constructor(of: TracedModel, meter: Meter = createNoopMeter()) {
    this.#of = of;
    this.#common = {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": of.provider,
      "gen_ai.request.model": of.model,
      "server.address": of.server.address,
      "server.port": of.server.port,
    };
    this.#tokens = meter.createHistogram("gen_ai.client.token.usage", {
      description: "Tokens of calls to models, those that were read and those that were written",
      unit: "{token}",
      advice: { explicitBucketBoundaries: TOKEN_BUCKETS },
    });
    this.#duration = meter.createHistogram("gen_ai.client.operation.duration", {
      description: "How long calls to models took",
      unit: "s",
      advice: { explicitBucketBoundaries: SECOND_BUCKETS },
    });
  }

  /** A call, a child of the span that is active now. */
  begin(): ModelCall {
    const { model, maxTokens } = this.#of;
    const span = tracer.startSpan(`chat ${model}`, {
      kind: SpanKind.CLIENT,
      attributes: {
        ...this.#common,
        "gen_ai.request.stream": true,
        ...(maxTokens === undefined ? {} : { "gen_ai.request.max_tokens": maxTokens }),
      },
    });
    return new ModelCall(span, (seconds, { inputTokens, outputTokens, ...answer }, errorType) => {
      const labels =
        answer.model === undefined ? this.#common : { ...this.#common, "gen_ai.response.model": answer.model };
      this.#duration.record(seconds, errorType === null ? labels : { ...labels, "error.type": errorType });
      if (inputTokens !== undefined) this.#tokens.record(inputTokens, { ...labels, "gen_ai.token.type": "input" });
      if (outputTokens !== undefined) this.#tokens.record(outputTokens, { ...labels, "gen_ai.token.type": "output" });
    });
  }
}

type Record = (seconds: number, answer: ModelAnswer, errorType: string | null) => void;

/** One call to a model. It ends once, whether it was answered, failed, or nobody wanted the rest of it. */
export class ModelCall {
  readonly #span: Span;
  readonly #context: Context;
  readonly #record: Record;
  readonly #beganAt = performance.now();
  readonly #answer: ModelAnswer = {};
  #error: { type: string; cause: Error } | null = null;

  constructor(span: Span, record: Record) {
    this.#span = span;
    this.#context = trace.setSpan(context.active(), span);
    this.#record = record;
  }

  run<Result>(code: () => Result): Result {
    return context.with(this.#context, code);
  }

  /** More of the answer is known. */
  learn(answer: ModelAnswer): void {
    Object.assign(this.#answer, answer);
  }

  /** It failed. A call that is cancelled, or whose reader leaves, has not. @param type few in number: they are a label */
  fail(type: string, cause: Error): void {
    this.#error = { type, cause };
  }

  end(): void {
    const { id, model, finishReason, inputTokens, outputTokens } = this.#answer;
    if (id !== undefined) this.#span.setAttribute("gen_ai.response.id", id);
    if (model !== undefined) this.#span.setAttribute("gen_ai.response.model", model);
    if (finishReason) this.#span.setAttribute("gen_ai.response.finish_reasons", [finishReason]);
    if (inputTokens !== undefined) this.#span.setAttribute("gen_ai.usage.input_tokens", inputTokens);
    if (outputTokens !== undefined) this.#span.setAttribute("gen_ai.usage.output_tokens", outputTokens);
    if (this.#error !== null) {
      this.#span.setAttribute("error.type", this.#error.type);
      this.#span.recordException(this.#error.cause);
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: this.#error.cause.message });
    }
    this.#span.end();
    this.#record((performance.now() - this.#beganAt) / 1_000, this.#answer, this.#error?.type ?? null);
  }
}
