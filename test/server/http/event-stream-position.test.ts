import assert from "node:assert/strict";
import { SeqOutOfRange } from "../../../src/domain/errors.ts";
import { TASK_ID } from "../../rpc/fake-engine.ts";
import { openTestListener, refusalOf } from "./open-http-listener.ts";

describe("a Last-Event-ID past the end of an unfinished tape", () => {
  it("is refused before the stream starts, with the last seq of the tape", async () => {
    await using server = await openTestListener({
      // eslint-disable-next-line require-yield
      async *followTape({ taskId, fromSeq }) {
        throw new SeqOutOfRange(taskId, fromSeq, 4n);
      },
    });
    const headers = { "last-event-id": "999" };
    const { message, ...refusal } = await refusalOf(
      await fetch(`${server.url}/v1/tasks/${TASK_ID}/events`, { headers }),
    );
    assert.deepEqual(refusal, { status: 400, code: "out_of_range", reason: "SEQ_OUT_OF_RANGE", fields: [] });
    assert.match(message, /^from_seq 1000 is past the end .* whose last event is 4: follow from 5 or before$/);
  });
});
