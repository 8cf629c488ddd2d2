import { newEvent } from "../../src/domain/event.ts";
import { claimTasks } from "../../src/store/tasks/claim-statement.ts";
import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import { writeFlush } from "../../src/store/tapes/journal-statement.ts";
import { migrate } from "../../src/store/migrate.ts";
import type { Comparison, Figure, Measure } from "../measure.ts";
import type { Servers } from "../servers.ts";
import { addWaitingTasks, settleTasks } from "../waiting-tasks.ts";

const FEW = 1_000;
const SIZES = { "1k": FEW, "100k": 100_000, "1m": 1_000_000 } as const;
const KEYS = { none: "null", keys: "'key-' || n % 1000" } as const;
type Keys = keyof typeof KEYS;

/** What one claim takes, and how many claims are timed: of the fewest tasks, too, there are some left. */
const SLOTS = 16;
const CLAIMS = 40;
const KIND = "waiting";
/** A third slower at the most. */
const BAR = { atLeast: 0.77 };
const SUCCEEDED = newEvent("final", { status: "succeeded", result: {} });

export const claimBacklog: Measure = {
  name: "claim-backlog",
  about:
    "claims of 16 tasks beside 1,000, 100,000 and 1,000,000 pending ones, without keys and over 1,000 keys: minutes",
  only: "heavy",
  roundsMax: 3,
  figures: [...figuresOf("none"), ...figuresOf("keys")],
  async prepare({ createDatabase }, size) {
    await using preparing = new AsyncDisposableStack();
    const backlogs: { name: string; backlog: Backlog }[] = [];
    for (const keys of ["none", "keys"] as const) {
      for (const [label, full] of Object.entries(SIZES)) {
        const tasks = Math.max(FEW, size(full));
        const backlog = preparing.use(await openBacklog(createDatabase, { tasks, exclusiveKey: KEYS[keys] }));
        backlogs.push({ name: nameOf(keys, label), backlog });
      }
    }
    const prepared = preparing.move();
    return {
      async run() {
        const outcome: Record<string, number> = {};
        for (const { name, backlog } of backlogs) outcome[name] = await backlog.claimsPerSecond();
        return outcome;
      },
      close: () => prepared.disposeAsync(),
    };
  },
};

function figuresOf(keys: Keys): Figure[] {
  return Object.entries(SIZES).map(([label, tasks]) => {
    const comparisons: Comparison[] = tasks === FEW ? [] : [{ with: nameOf(keys, "1k"), bar: BAR }];
    const which = keys === "none" ? "without keys" : "over 1,000 exclusive keys";
    const about = `claims of ${SLOTS} tasks beside ${tasks.toLocaleString("en")} that wait ${which}`;
    return { name: nameOf(keys, label), unit: "claims/s", about, comparisons };
  });
}

function nameOf(keys: Keys, label: string): string {
  return keys === "none" ? `claims-${label}` : `claims-keys-${label}`;
}

interface Backlog extends AsyncDisposable {
  claimsPerSecond(): Promise<number>;
}

async function openBacklog(
  createDatabase: Servers["createDatabase"],
  { tasks, exclusiveKey }: { tasks: number; exclusiveKey: string },
): Promise<Backlog> {
  await using opening = new AsyncDisposableStack();
  const { url } = opening.use(await createDatabase());
  const store = await openDatabase({ url, connectionsMax: 1 });
  opening.defer(() => store.close());
  await migrate(store.db);
  let last = 0;
  const fill = async (count: number) => {
    await addWaitingTasks(url, { first: last + 1, last: last + count }, { kind: KIND, exclusiveKey });
    last += count;
    await settleTasks(url);
  };
  await fill(tasks);
  await claimsPerSecond(store); // A statement is planned for good after some executions.
  const opened = opening.move();
  return {
    async claimsPerSecond() {
      await fill(CLAIMS * SLOTS); // As many as the last time has taken.
      return claimsPerSecond(store);
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Times the claims alone. What they took ends in between, so that its keys are free. */
async function claimsPerSecond({ db }: Store): Promise<number> {
  let keys: string[] = [];
  let claimingMs = 0;
  for (let claims = 0; claims < CLAIMS; claims++) {
    const lease = crypto.randomUUID();
    const startedAt = performance.now();
    const { tasks } = await claimTasks(db, { namespace: "default", kinds: [KIND], lease, limit: SLOTS, keys });
    claimingMs += performance.now() - startedAt;
    if (tasks.length !== SLOTS) throw new Error(`a claim of ${tasks.length} tasks`);
    const appends = tasks.map(({ taskId, attempt }) => ({
      fence: { taskId, lease, attempt },
      appended: 0n,
      events: [SUCCEEDED],
      end: "succeeded" as const,
    }));
    await writeFlush(db, { creates: [], appends });
    keys = tasks.flatMap(({ exclusiveKey }) => exclusiveKey ?? []);
  }
  return (CLAIMS * 1_000) / claimingMs;
}
