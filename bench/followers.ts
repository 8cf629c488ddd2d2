import { forkProgram } from "./children.ts";

/** Streams that a process of its own is to open. */
export interface FollowOrder {
  address: string;
  /** Of a server-streaming method. */
  path: string;
  /** One for each stream, in base64. */
  requests: readonly string[];
  /** How many connections the streams are spread over. */
  connections: number;
  /** How many are opened at once; left out: all. Each that is at a tape of its own reads from the database. */
  openAtOnce?: number;
}

/** What came on all the streams. */
export interface Arrived {
  events: number;
  frames: number;
}

/** Followers whose work is not in the benchmark's own thread. Disposing ends their process. */
export interface Followers extends AsyncDisposable {
  readonly pid: number;
  /** Once all the streams have ended. @throws if one failed */
  arrived(): Promise<Arrived>;
  /** Stops the process: its streams stay open, and nobody reads them. A client that is not asked to read does all the same. */
  freeze(): void;
}

/** Resolves when the server has answered each of the streams with a first frame. */
export async function openFollowers(order: FollowOrder): Promise<Followers> {
  await using opening = new AsyncDisposableStack();
  const child = opening.use(forkProgram(import.meta.resolve("./follower-process.ts")));
  child.send(order);
  await child.next<"opened">();
  const opened = opening.move();
  let frozen = false;
  return {
    pid: child.pid,
    arrived: () => child.next<Arrived>(),
    freeze() {
      frozen = process.kill(child.pid, "SIGSTOP");
    },
    [Symbol.asyncDispose]() {
      if (frozen) process.kill(child.pid, "SIGCONT"); // Else it would not hear that it is to end.
      return opened.disposeAsync();
    },
  };
}
