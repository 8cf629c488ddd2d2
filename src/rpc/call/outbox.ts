/** What is to be sent on a stream, in order, until it ends or fails: written by many, read by one. */
export class Outbox<Message> implements AsyncIterable<Message> {
  #waiting: Message[] = [];
  #end: { error: unknown } | { error?: never } | null = null;
  #wake: (() => void) | null = null;
  #room: PromiseWithResolvers<void> | null = null;
  readonly #max: number;

  /** @param max how many may wait before those who can wait are to */
  constructor(max: number) {
    this.#max = max;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Once it has ended, nothing is taken. */
  push(message: Message): void {
    if (this.#end !== null) return;
    this.#waiting.push(message);
    this.#wake?.();
  }

  /** Ends it after what waits. */
  end(): void {
    this.#end ??= {};
    this.#finish();
  }

  /** Ends it after what waits, with an error. */
  fail(error: unknown): void {
    this.#end ??= { error };
    this.#finish();
  }

  /** Resolves when fewer wait than may. */
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
