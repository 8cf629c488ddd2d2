import { TASK_STATUSES } from "../../domain/task.ts";
import type { TaskState } from "../../domain/task.ts";

/** Who says it, and of which tasks. */
export interface WakeupMessage {
  sender: string;
  states: TaskState[];
}

const UUID_BYTES = 16;

/**
 * Puts states into as few payloads as their bound allows: the sender, then for each task its id as base64url, the
 * status as a digit and the seq, a colon before each.
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

/** Reads a payload back; what is not of this form is left out, for another version may have sent it. */
export function decodeWakeups(payload: string): WakeupMessage {
  const [sender = "", ...items] = payload.split(":");
  return { sender, states: items.flatMap(decodeState) };
}

/** Before what somebody sends to see whether it arrives: no sender's id begins so. */
const PROBE = "probe ";

/** A payload that tells of no task and of no server: whoever knows its form leaves it unheard. */
export function encodeProbe(id: string): string {
  return `${PROBE}${id}`;
}

export function isProbe(payload: string): boolean {
  return payload.startsWith(PROBE);
}

function encodeState({ taskId, status, lastSeq }: TaskState): string {
  const id = Buffer.from(taskId.replaceAll("-", ""), "hex").toString("base64url");
  return `${id}${TASK_STATUSES.indexOf(status)}${lastSeq}`;
}

const ITEM = /^([\w-]{22})(\d)(\d{1,19})$/;

function decodeState(item: string): TaskState[] {
  const [, id, digit, seq] = ITEM.exec(item) ?? [];
  const status = TASK_STATUSES[Number(digit)];
  const bytes = Buffer.from(id ?? "", "base64url");
  if (status === undefined || bytes.length !== UUID_BYTES) return [];
  const taskId = bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return [{ taskId, status, lastSeq: BigInt(seq!) }];
}
