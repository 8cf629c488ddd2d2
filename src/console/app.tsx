import { NamespaceField } from "./access/namespace-field.tsx";
import { shownNamespace } from "./access/namespace.ts";
import { lackOfPage } from "./access/rights.ts";
import { session, sessionError, signOut } from "./access/session.ts";
import { SignInPage } from "./access/sign-in-page.tsx";
import { connection } from "./connection.ts";
import type { Connection } from "./connection.ts";
import { TasksPage } from "./list/tasks-page.tsx";
import { route } from "./navigation.ts";
import { originRefusal } from "./origin-refusal.ts";
import { OverviewPage } from "./overview/overview-page.tsx";
import { PageTitle } from "./parts/page-title.tsx";
import { Problem } from "./parts/problem.tsx";
import { RefusedPage } from "./refused-page.tsx";
import { formatRoute, isTaskIdPrefix, NO_FILTER } from "./route.ts";
import type { Route } from "./route.ts";
import { StartPage } from "./start/start-page.tsx";
import { MatchesPage } from "./task/matches-page.tsx";
import { TaskPage } from "./task/task-page.tsx";
import { nextTheme, theme } from "./theme.ts";

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

/** Renders the content of the route, or what keeps the caller from it. */
function Content() {
  if (originRefusal.value !== null) return <RefusedPage error={originRefusal.value} />;
  if (sessionError.value !== null) return <Problem title="Failed to read the session" error={sessionError.value} />;
  if (session.value === null) return <p class="quiet">Loading session…</p>;
  const { caller } = session.value;
  if (caller === null) return <SignInPage />;
  const lack = lackOfPage(route.value.page);
  if (lack !== null) return <Notice title="Not allowed" text={lack} />;
  if (shownNamespace(caller) === null) return <Notice title="Choose a namespace" text="You may use several." />;
  return <Page />;
}

function Notice({ title, text }: { title: string; text: string }) {
  return (
    <>
      <PageTitle title={title} />
      <p>{text}</p>
    </>
  );
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
          {PLACES.filter(({ to }) => lackOfPage(to.page) === null).map(({ name, to, pages }) => (
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
        <SignedIn />
        <button type="button" class="plain" onClick={nextTheme}>
          Colours: {theme.value}
        </button>
      </div>
    </header>
  );
}

/** Renders the namespace, and who is signed in. Nothing of what the caller cannot change. */
function SignedIn() {
  const { caller, expiresAt = null } = session.value ?? {};
  if (!caller) return null;
  return (
    <>
      <NamespaceField caller={caller} />
      {expiresAt !== null && (
        <>
          <span class="quiet" title={`May: ${caller.scopes.join(", ")}`}>
            {caller.name}
          </span>
          <button type="button" class="plain" onClick={() => void signOut()}>
            Sign out
          </button>
        </>
      )}
    </>
  );
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
