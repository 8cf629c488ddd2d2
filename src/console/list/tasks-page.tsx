import { useEffect } from "preact/hooks";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import { readKnownKinds } from "../known-kinds.ts";
import { navigate } from "../navigation.ts";
import { PageTitle } from "../parts/page-title.tsx";
import { Problem } from "../parts/problem.tsx";
import { useOpened } from "../parts/use-opened.ts";
import { formatRoute } from "../route.ts";
import type { TaskFilter } from "../route.ts";
import { FilterFields } from "./filter-fields.tsx";
import { TaskList } from "./task-list.ts";
import { TaskTable } from "./task-table.tsx";

/** One page of a filtered task list, with live updates. */
export function TasksPage({ filter, pageToken }: { filter: TaskFilter; pageToken: string }) {
  const list = useOpened(() => new TaskList(filter, pageToken), JSON.stringify([filter, pageToken]));
  useEffect(() => void readKnownKinds(), []);
  const rows = list.rows.value;
  const showOlder = () => {
    list.olderToken().then(
      (token) => navigate({ page: "tasks", filter, pageToken: token }),
      (error: unknown) => (list.error.value = error as SpoolRpcError),
    );
  };
  return (
    <>
      <PageTitle title="Tasks" />
      <FilterFields
        filter={filter}
        onChange={(changed) => navigate({ page: "tasks", filter: changed, pageToken: "" })}
      />
      {list.error.value && <Problem title="Failed to load the tasks" error={list.error.value} />}
      {rows === null && !list.error.value && <p class="quiet">Loading tasks…</p>}
      {rows?.length === 0 && <p class="quiet empty">No matching tasks.</p>}
      {rows !== null && rows.length > 0 && <TaskTable rows={rows} />}
      <nav class="pages" aria-label="Pages">
        {pageToken !== "" && (
          <a class="button" href={formatRoute({ page: "tasks", filter, pageToken: "" })}>
            Newest
          </a>
        )}
        {list.hasOlder.value && (
          <button type="button" onClick={showOlder}>
            Older
          </button>
        )}
      </nav>
    </>
  );
}
