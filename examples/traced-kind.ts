import { SpanStatusCode, trace } from "@opentelemetry/api";
import * as v from "valibot";
import { defineKind } from "@spooltape/client";

const tracer = trace.getTracer("thumbnails");

export const thumbnails = defineKind({
  name: "thumbnails",
  params: v.strictObject({ images: v.array(v.string()) }),
  async run({ params, ...task }) {
    for (const [index, image] of params.images.entries()) {
      // The attempt's span is the active one: this is its child.
      await tracer.startActiveSpan("shrink", { attributes: { "image.name": image } }, async (span) => {
        try {
          await shrink(image, { traceparent: task.traceparent });
        } catch (error) {
          span.recordException(error as Error);
          span.setStatus({ code: SpanStatusCode.ERROR });
          throw error;
        } finally {
          span.end();
        }
      });
      await task.progress("shrink", index + 1, params.images.length);
    }
  },
});

/** Stands for a program elsewhere, which goes on with the trace by the header or variable that it is given. */
async function shrink(image: string, environment: { traceparent: string | null }): Promise<void> {
  if (image === "") throw new Error("an image without a name");
  void environment;
}
