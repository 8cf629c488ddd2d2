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
  /** Whether it reads them to their end; else it opens them and never reads. */
  reads: boolean;
}

/** What came on all the streams. */
export interface Arrived {
  events: number;
  frames: number;
}

/** Followers whose work is not in the benchmark's own thread. Disposing ends their process. */
export interface Followers extends AsyncDisposable {
  /** Once all the streams have ended. @throws if one failed */
  arrived(): Promise<Arrived>;
}

/** Resolves when the server has answered each of the streams: with a first frame where they are read. */
export async function openFollowers(order: FollowOrder): Promise<Followers> {
  await using opening = new AsyncDisposableStack();
  const child = opening.use(forkProgram(import.meta.resolve("./follower-process.ts")));
  child.send(order);
  await child.next<"opened">();
  const opened = opening.move();
  return { arrived: () => child.next<Arrived>(), [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
