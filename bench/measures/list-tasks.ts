import { connect } from "../../src/client/client.ts";
import type { TaskFilter } from "../../src/client/client.ts";
import type { Measure } from "../measure.ts";
import { rateOf } from "../rate.ts";
import { CUSTOMERS, fillTasks, KINDS } from "./filled-tasks.ts";

const TASKS = 1_000_000;
const PAGE = 100;
const AT_ONCE = 16;
const PAGES = 1_000;

/** What a page is asked for by; in turn, so that no two calls that follow each other read the same rows. */
const FILTERS: Readonly<Record<string, (turn: number) => TaskFilter>> = {
  "list-newest": () => ({}),
  "list-by-status": () => ({ statuses: ["failed"] }),
  "list-by-kind": (turn) => ({ kinds: [`filled-${turn % KINDS}`] }),
  "list-by-label": (turn) => ({ labels: { customer: `c${(turn * 7) % CUSTOMERS}` } }),
};

const ABOUT: Readonly<Record<keyof typeof FILTERS, string>> = {
  "list-newest": `ListTasks of the ${PAGE} newest of 1,000,000 tasks, ${AT_ONCE} calls at once`,
  "list-by-status": "the same of those that failed, one of a hundred",
  "list-by-kind": "the same of one kind, a twentieth of them",
  "list-by-label": "the same of those that carry a label, one of a thousand",
};

export const listTasks: Measure = {
  name: "list-tasks",
  about: `ListTasks of ${PAGE} of 1,000,000 tasks: the newest, by status, by kind, by label`,
  only: "heavy",
  figures: Object.keys(FILTERS).map((name) => ({
    name,
    unit: "pages/s",
    about: ABOUT[name]!,
    comparisons: [{ with: "grpc-unary" }],
  })),
  async prepare({ startSpool }, size) {
    await using preparing = new AsyncDisposableStack();
    const { address, databaseUrl } = preparing.use(await startSpool());
    const client = preparing.use(connect({ address }));
    await fillTasks(databaseUrl, { tasks: size(TASKS), eventsEach: 0 });
    const pages = async (filter: (turn: number) => TaskFilter, times: number) => {
      let turn = 0;
      const work = async () => {
        const { tasks } = await client.listPage({ ...filter(++turn), pageSize: PAGE });
        if (tasks.length === 0) throw new Error("a page without tasks");
      };
      return rateOf(work, { times, atOnce: AT_ONCE });
    };
    for (const filter of Object.values(FILTERS)) await pages(filter, 50);
    const prepared = preparing.move();
    return {
      async run() {
        const outcome: Record<string, number> = {};
        for (const [name, filter] of Object.entries(FILTERS)) outcome[name] = await pages(filter, size(PAGES));
        return outcome;
      },
      close: () => prepared.disposeAsync(),
    };
  },
};
