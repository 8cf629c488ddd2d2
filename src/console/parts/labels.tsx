import { formatRoute, NO_FILTER } from "../route.ts";

/** The labels of a task, each as a link to the tasks with the same label. */
export function Labels({ labels }: { labels: Readonly<Record<string, string>> }) {
  const entries = Object.entries(labels);
  if (entries.length === 0) return null;
  return (
    <ul class="labels" aria-label="Labels">
      {entries.map(([key, value]) => (
        <li key={key}>
          <a
            class="chip"
            href={formatRoute({ page: "tasks", filter: { ...NO_FILTER, labels: { [key]: value } }, pageToken: "" })}
          >
            {key}={value}
          </a>
        </li>
      ))}
    </ul>
  );
}
