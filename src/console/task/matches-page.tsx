import { useEffect } from "preact/hooks";
import { TaskTable } from "../list/task-table.tsx";
import { redirect } from "../navigation.ts";
import { PageTitle } from "../parts/page-title.tsx";
import { Problem } from "../parts/problem.tsx";
import { useOpened } from "../parts/use-opened.ts";
import { PrefixSearch } from "./prefix-search.ts";

/** The tasks whose ids start with a prefix. A single match redirects to its own page. */
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
      {search.error.value && <Problem title="Failed to load the tasks" error={search.error.value} />}
      {matches === null && !search.error.value && <p class="quiet">Searching…</p>}
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
