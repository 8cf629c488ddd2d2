import { useEffect } from "preact/hooks";
import { TaskTable } from "../list/task-table.tsx";
import { redirect } from "../navigation.ts";
import { PageTitle } from "../parts/page-title.tsx";
import { Problem } from "../parts/problem.tsx";
import { useOpened } from "../parts/use-opened.ts";
import { PrefixSearch } from "./prefix-search.ts";

/** The tasks whose ids begin with a prefix. If there is one, its own page takes the place of this one. */
export function MatchesPage({ prefix }: { prefix: string }) {
  const search = useOpened(() => new PrefixSearch(prefix), prefix);
  const matches = search.matches.value;
  const only = matches?.length === 1 ? matches[0]!.taskId : null;
  useEffect(() => {
    if (only !== null) redirect({ page: "task", taskId: only, seq: null });
  }, [only]);
  return (
    <>
      <PageTitle title="Tasks by id" />
      {search.error.value && <Problem title="The tasks cannot be shown" error={search.error.value} />}
      {matches === null && !search.error.value && <p class="quiet">Looking for the task…</p>}
      {matches?.length === 0 && <p class="quiet empty">No task has an id that begins with {prefix}.</p>}
      {matches !== null && matches.length > 1 && (
        <>
          <p>
            {search.hasMore.value ? `More than ${matches.length}` : matches.length} tasks have ids that begin with{" "}
            {prefix}.
          </p>
          <TaskTable rows={matches.map((task) => ({ task, progress: null }))} />
        </>
      )}
    </>
  );
}
