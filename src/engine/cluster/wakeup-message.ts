import { TASK_STATUSES } from "../../domain/task.ts";
import type { StateChange } from "../../domain/task.ts";

/** A wakeup: the server that sends it, and the changes of tasks that it announces. */
export interface WakeupMessage {
  sender: string;
  states: StateChange[];
}

const UUID_BYTES = 16;
/** Stands for a removed task instead of a status. Servers that do not know the digit skip the item. */
const REMOVED = 9;

/**
 * Encodes states into as few payloads as the bound allows. A payload has the sender, and then for each task: a colon,
 * the id as base64url, the status as a digit, and the seq.
 */
export function encodeWakeups({ sender, states }: WakeupMessage, bytesMax: number): string[] {
  const payloads: string[] = [];
  let payload = sender;
  for (const state of states) {
    const item = `:${encodeState(state)}`;
    if (payload.length + item.length > bytesMax) {
      payloads.push(payload);
      payload = sender;
    }
    payload += item;
  }
  return payload === sender ? payloads : [...payloads, payload];
}

/** Decodes a payload. Skips items of another form, which another version may have sent. */
export function decodeWakeups(payload: string): WakeupMessage {
  const [sender = "", ...items] = payload.split(":");
  return { sender, states: items.flatMap(decodeState) };
}

/** The prefix of a probe, which checks whether wakeups arrive. No sender's id begins with it. */
const PROBE = "probe ";

/** Encodes a probe, which announces no task and no server. Servers that know the prefix ignore it. */
export function encodeProbe(id: string): string {
  return `${PROBE}${id}`;
}

export function isProbe(payload: string): boolean {
  return payload.startsWith(PROBE);
}

function encodeState({ taskId, status, lastSeq }: StateChange): string {
  const id = Buffer.from(taskId.replaceAll("-", ""), "hex").toString("base64url");
  return `${id}${status === "removed" ? REMOVED : TASK_STATUSES.indexOf(status)}${lastSeq}`;
}

const ITEM = /^([\w-]{22})(\d)(\d{1,19})$/;

function decodeState(item: string): StateChange[] {
  const [, id, digit, seq] = ITEM.exec(item) ?? [];
  const status = Number(digit) === REMOVED ? "removed" : TASK_STATUSES[Number(digit)];
  const bytes = Buffer.from(id ?? "", "base64url");
  if (status === undefined || bytes.length !== UUID_BYTES) return [];
  const taskId = bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return [{ taskId, status, lastSeq: BigInt(seq!) }];
}
