import assert from "node:assert/strict";
import { toJson } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { fromEventJson, fromTapeEvent, toEventJson, toTapeEvent } from "../../src/archive/event-json.ts";
import { canonicalJson } from "../../src/domain/canonical-json.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { toEventMessage } from "../../src/codec/event.ts";
import { EventSchema } from "../../src/gen/spool/v1/event_pb.ts";
import { recordedEvent } from "../codec/arbitrary-events.ts";

describe("the JSON of an event", () => {
  it("is the ProtoJSON that protobuf-es writes", () => {
    fc.assert(
      fc.property(recordedEvent, (event) => {
        const message = toEventMessage(event);
        assert.equal(
          canonicalJson(toEventJson(fromTapeEvent(event))),
          canonicalJson(toJson(EventSchema, message) as JsonObject),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("is the same after the event was read, stored and read again", () => {
    fc.assert(
      fc.property(recordedEvent, (event) => {
        const line = JSON.stringify(toEventJson(fromTapeEvent(event)));
        const stored = toTapeEvent(fromEventJson(JSON.parse(line)));
        assert.equal(canonicalJson(toEventJson(fromTapeEvent(stored))), canonicalJson(JSON.parse(line) as JsonObject));
      }),
      { numRuns: 500 },
    );
  });

  it("cannot be written for an event of an unknown type", () => {
    assert.throws(() => toEventJson({ seq: 7n, time: new Date(0), type: "unknown" }), /event 7 has a type/);
  });
});
