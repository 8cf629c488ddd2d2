import { randomFillSync } from "node:crypto";
import { v7 as uuidv7 } from "uuid";

const ID_BYTES = 16;
/** How many ids share one request for random bytes. The request is most of the cost of an id. */
const IDS_AT_ONCE = 256;
/** The maximum of the 31-bit counter in an id. 31 bits leave room to count on within a millisecond. */
const COUNTER_MAX = 2 ** 31 - 1;

const random = Buffer.alloc(ID_BYTES * IDS_AT_ONCE);
let used = random.length;
let ms = 0;
let counter = 0;

/** Returns a new UUIDv7 (RFC 9562). Ids of this process rise, even within 1 ms and when the clock is set back. */
export function newTaskId(): string {
  if (used === random.length) {
    randomFillSync(random);
    used = 0;
  }
  const bytes = random.subarray(used, used + ID_BYTES);
  used += ID_BYTES;
  const now = Date.now();
  if (now > ms) {
    ms = now;
    counter = bytes.readUInt32BE(6) >>> 1;
  } else if (counter < COUNTER_MAX) {
    counter++;
  } else {
    ms++;
    counter = 0;
  }
  return uuidv7({ random: bytes, msecs: ms, seq: counter });
}
