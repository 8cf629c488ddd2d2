import { connection } from "./connection.ts";
import type { Connection } from "./connection.ts";
import { TasksPage } from "./list/tasks-page.tsx";
import { route } from "./navigation.ts";
import { originRefusal } from "./origin-refusal.ts";
import { OverviewPage } from "./overview/overview-page.tsx";
import { PageTitle } from "./parts/page-title.tsx";
import { RefusedPage } from "./refused-page.tsx";
import { formatRoute, isTaskIdPrefix, NO_FILTER } from "./route.ts";
import type { Route } from "./route.ts";
import { forgetToken, sessionToken, tokenState } from "./session-token.ts";
import { StartPage } from "./start/start-page.tsx";
import { MatchesPage } from "./task/matches-page.tsx";
import { TaskPage } from "./task/task-page.tsx";
import { nextTheme, theme } from "./theme.ts";
import { TokenPage } from "./token-page.tsx";

const CONNECTIONS: Record<Connection, string> = {
  idle: "",
  connecting: "Connecting…",
  live: "Live",
  lost: "Connection lost. Reconnecting…",
};

const PLACES: readonly { name: string; to: Route; pages: readonly Route["page"][] }[] = [
  { name: "Tasks", to: { page: "tasks", filter: NO_FILTER, pageToken: "" }, pages: ["tasks", "task"] },
  { name: "Overview", to: { page: "overview" }, pages: ["overview"] },
  { name: "Start", to: { page: "start", from: null }, pages: ["start"] },
];

/** Renders the page: the header and the content of the current route. */
export function App() {
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <Header />
      <main id="main" tabIndex={-1}>
        <Content />
      </main>
    </>
  );
}

/** Renders the content of the route, or how to solve a rejected origin or token. */
function Content() {
  if (originRefusal.value !== null) return <RefusedPage error={originRefusal.value} />;
  return tokenState.value === "unasked" ? <Page /> : <TokenPage />;
}

/** Moves the focus to the content. The fragment must not become `#main`, because it holds the route. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")!.focus();
}

function Header() {
  const { page } = route.value;
  return (
    <header class="top">
      <span class="brand">Spool</span>
      <nav aria-label="Main">
        <ul>
          {PLACES.map(({ name, to, pages }) => (
            <li key={name}>
              <a href={formatRoute(to)} aria-current={pages.includes(page) ? "page" : undefined}>
                {name}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <p class={`connection ${connection.value}`} role="status" aria-label="Connection">
        {CONNECTIONS[connection.value]}
      </p>
      <div class="top-buttons">
        {sessionToken.value !== null && (
          <button type="button" class="plain" onClick={forget}>
            Forget the token
          </button>
        )}
        <button type="button" class="plain" onClick={nextTheme}>
          Colours: {theme.value}
        </button>
      </div>
    </header>
  );
}

/** Deletes the token and reloads, which also drops the data read with the token. */
function forget(): void {
  forgetToken();
  location.reload();
}

function Page() {
  const current = route.value;
  switch (current.page) {
    case "tasks":
      return <TasksPage filter={current.filter} pageToken={current.pageToken} />;
    case "task":
      if (isTaskIdPrefix(current.taskId)) return <MatchesPage key={current.taskId} prefix={current.taskId} />;
      return <TaskPage key={current.taskId} taskId={current.taskId} seq={current.seq} />;
    case "start":
      return <StartPage from={current.from} />;
    case "overview":
      return <OverviewPage />;
    case "unknown":
      return (
        <>
          <PageTitle title="Page not found" />
          <p>
            <a href="#/tasks">All tasks</a>
          </p>
        </>
      );
  }
}
