/** An event as its lines say: by the names of its fields, of which each is there once. */
export type ServerSentEvent = Partial<Record<"id" | "event" | "data" | "retry", string>>;

/**
 * Reads a response as the standard of server-sent events has it, without comments and what only says when to come back.
 * Leaving it ends the response.
 */
export async function* readEvents({ body }: Response): AsyncGenerator<ServerSentEvent, void, undefined> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of body ?? []) {
    text += decoder.decode(bytes as Uint8Array, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop()!;
    for (const block of blocks) {
      const lines = block.split("\n").filter((line) => !line.startsWith(":"));
      if (lines.some((line) => !line.startsWith("retry:")))
        yield Object.fromEntries(lines.map((line) => line.split(/: (.*)/s).slice(0, 2)));
    }
  }
}
