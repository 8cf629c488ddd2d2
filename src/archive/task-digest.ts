import { createHash } from "node:crypto";
import { canonicalJson } from "../domain/canonical-json.ts";
import type { JsonObject } from "../domain/json.ts";

/**
 * Digests a task with its tape: SHA-256 over the canonical JSON of the task and of each event, in order, each followed
 * by a line feed.
 */
export class TaskDigest {
  readonly #hash = createHash("sha256");

  constructor(task: JsonObject) {
    this.add([task]);
  }

  add(messages: readonly JsonObject[]): void {
    let text = "";
    for (const message of messages) text += `${canonicalJson(message)}\n`;
    this.#hash.update(text);
  }

  /** Returns the digest, 64 hex digits. Nothing can be added afterwards. */
  end(): string {
    return this.#hash.digest("hex");
  }
}
