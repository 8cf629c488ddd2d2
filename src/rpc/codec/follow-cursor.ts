import type { FollowCursor, Place } from "../../domain/follow-cursor.ts";
import { digestJson } from "../../domain/canonical-json.ts";
import { CURSOR_CHARS_MAX } from "../../domain/limits.ts";
import type { Snapshot } from "../../domain/snapshot.ts";
import type { FollowTasksQuery } from "../../engine/api/task-engine.ts";

/** The scope of a cursor. A cursor is valid only for a stream with the same filter and view. */
export type FollowScope = Pick<FollowTasksQuery, "kinds" | "labels" | "view">;

/** After it comes the generation, if it is not 0: `1` or `1g2`. */
const VERSION = "1";
const VERSIONED = /^1(?:g([1-9]\d{0,8}))?$/;
const DIGEST_CHARS = 22;
const NUMBER_MAX = 2n ** 63n - 1n;
const TIME_MS_MAX = 8.64e15;
/** Cursors of older servers have no timeline. */
const SNAPSHOT = /^([\da-f]{1,16})-([\da-f]{1,16})-([\da-f]{1,16})-([\da-f_]*)(?:-([\da-f]{1,8})(r?))?$/;
const REPLICATED = "r";
const PLACE = /^([\da-f]{1,16}|x)-([\da-f]{32})-([\da-f]{1,16}|x)$/;

/**
 * Encodes the position of a follower of many tasks, opaque to callers. It holds a version, the generation, a digest of
 * the stream's scope, the `seen` snapshot and, during a round, its target and place. Numbers are in hex, so an operator can read
 * them.
 */
export function encodeCursor({ generation, seen, round }: FollowCursor, scope: FollowScope): string {
  const version = generation === 0 ? VERSION : `${VERSION}g${generation}`;
  const parts = [version, digestOf(scope), encodeSnapshot(seen)];
  if (round !== null) parts.push(encodeSnapshot(round.target), encodePlace(round.place));
  return parts.join(".");
}

/** @returns null for a cursor that no stream of this scope created */
export function decodeCursor(text: string, scope: FollowScope): FollowCursor | null {
  if (text.length > CURSOR_CHARS_MAX) return null;
  const [version, digest, seenText, targetText, placeText, ...more] = text.split(".");
  const versioned = VERSIONED.exec(version!);
  if (versioned === null || digest !== digestOf(scope) || more.length > 0) return null;
  const generation = Number(versioned[1] ?? 0);
  const seen = decodeSnapshot(seenText);
  if (seen === null) return null;
  if (targetText === undefined) return { generation, seen, round: null };
  const target = decodeSnapshot(targetText);
  const place = decodePlace(placeText);
  if (target === null || place === null || target.xmax < seen.xmax) return null;
  return { generation, seen, round: { target, place } };
}

/** Returns the digest of a scope. The order of kinds does not matter. */
function digestOf({ kinds, labels, view }: FollowScope): string {
  const digest = digestJson({ kinds: [...kinds].sort(), labels: { ...labels }, view });
  return Buffer.from(digest, "hex").toString("base64url").slice(0, DIGEST_CHARS);
}

/** Encodes running transactions as differences, because their numbers are close together. */
function encodeSnapshot({ xmin, xmax, running, at, timeline, isReplicated }: Snapshot): string {
  const steps = running.map((xid, index) => hex(xid - (running[index - 1] ?? xmin)));
  const origin = timeline === null ? "" : `-${timeline.toString(16)}${isReplicated ? REPLICATED : ""}`;
  return `${hex(xmin)}-${hex(xmax)}-${hex(BigInt(at.getTime()))}-${steps.join("_")}${origin}`;
}

function decodeSnapshot(text: string | undefined): Snapshot | null {
  const [, xminText, xmaxText, atText, steps, timelineText, replicated] = SNAPSHOT.exec(text ?? "") ?? [];
  if (steps === undefined) return null;
  const [xmin, xmax, atMs] = [number(xminText!), number(xmaxText!), number(atText!)];
  let xid = xmin;
  const running = steps === "" ? [] : steps.split("_").map((step) => (xid += number(step || "0")));
  const isRising = running.every((each, index) => index === 0 || each > running[index - 1]!);
  const isWithin = xmin <= xmax && xmax <= NUMBER_MAX && xid <= xmax && atMs <= TIME_MS_MAX;
  if (!isRising || !isWithin) return null;
  const timeline = timelineText === undefined ? null : Number.parseInt(timelineText, 16);
  return { xmin, xmax, running, at: new Date(Number(atMs)), timeline, isReplicated: replicated === REPLICATED };
}

function encodePlace({ endedXid, taskId, seq }: Place): string {
  const [ended, given] = [endedXid, seq].map((value) => (value === null ? "x" : hex(value)));
  return `${ended}-${taskId.replaceAll("-", "")}-${given}`;
}

function decodePlace(text: string | undefined): Place | null {
  const [, ended, id, given] = PLACE.exec(text ?? "") ?? [];
  if (given === undefined) return null;
  const [endedXid, seq] = [ended!, given].map((value) => (value === "x" ? null : number(value)));
  if ((endedXid ?? 0n) > NUMBER_MAX || (seq ?? 0n) > NUMBER_MAX) return null;
  const taskId = id!.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return { endedXid: endedXid!, taskId, seq: seq! };
}

function hex(value: bigint): string {
  return value.toString(16);
}

function number(text: string): bigint {
  return BigInt(`0x${text}`);
}
