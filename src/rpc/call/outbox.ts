/** A queue of the messages to send on a stream, in order, with many writers and one reader. */
export class Outbox<Message> implements AsyncIterable<Message> {
  #waiting: Message[] = [];
  #end: { error: unknown } | { error?: never } | null = null;
  #wake: (() => void) | null = null;
  #room: PromiseWithResolvers<void> | null = null;
  readonly #max: number;

  /** @param max how many messages may wait before `room()` makes writers wait */
  constructor(max: number) {
    this.#max = max;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Adds a message. Ignored after the end. */
  push(message: Message): void {
    if (this.#end !== null) return;
    this.#waiting.push(message);
    this.#wake?.();
  }

  /** Ends the stream after the waiting messages. */
  end(): void {
    this.#end ??= {};
    this.#finish();
  }

  /** Ends the stream with an error after the waiting messages. */
  fail(error: unknown): void {
    this.#end ??= { error };
    this.#finish();
  }

  /** Resolves when fewer than `max` messages wait. */
  async room(): Promise<void> {
    if (this.#waiting.length < this.#max || this.#end !== null) return;
    this.#room ??= Promise.withResolvers();
    await this.#room.promise;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    for (;;) {
      const messages = this.#waiting;
      this.#waiting = [];
      for (const message of messages) yield message;
      if (this.#waiting.length < this.#max) this.#giveRoom();
      if (this.#waiting.length > 0) continue;
      if (this.#end !== null) {
        if ("error" in this.#end) throw this.#end.error;
        return;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = null;
    }
  }

  #finish(): void {
    this.#wake?.();
    this.#giveRoom();
  }

  #giveRoom(): void {
    this.#room?.resolve();
    this.#room = null;
  }
}
