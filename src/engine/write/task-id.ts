import { randomFillSync } from "node:crypto";
import { v7 as uuidv7 } from "uuid";

const ID_BYTES = 16;
/** For how many ids randomness is taken at once: asking for it is most of what an id costs. */
const IDS_AT_ONCE = 256;
/** A counter of 31 bits, which leaves room to count on within a millisecond. */
const COUNTER_MAX = 2 ** 31 - 1;

const random = Buffer.alloc(ID_BYTES * IDS_AT_ONCE);
let used = random.length;
let ms = 0;
let counter = 0;

/** A UUIDv7 (RFC 9562). Those that this process makes rise, within a millisecond too, and when its clock is set back. */
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
