import { useState } from "preact/hooks";
import { formatCount } from "../format.ts";
import { PageTitle } from "../parts/page-title.tsx";
import { Problem } from "../parts/problem.tsx";
import { useOpened } from "../parts/use-opened.ts";
import { ActivityPoll } from "./activity.ts";
import type { Activity } from "./activity.ts";
import { KindsTable } from "./kinds-table.tsx";
import { Plot } from "./plot.tsx";
import { SessionsTable } from "./sessions-table.tsx";

const MINUTE_MS = 60_000;

/** The time windows, by name. */
const WINDOWS = {
  "15 minutes": 15 * MINUTE_MS,
  "1 hour": 60 * MINUTE_MS,
  "6 hours": 360 * MINUTE_MS,
  "24 hours": 1_440 * MINUTE_MS,
} as const;

type WindowName = keyof typeof WINDOWS;

/** Shows recent activity, and the servers and workers that run tasks. */
export function OverviewPage() {
  const [name, setName] = useState<WindowName>("1 hour");
  const poll = useOpened(() => new ActivityPoll(WINDOWS[name]), name);
  const activity = poll.activity.value;
  return (
    <>
      <div class="overview-header">
        <PageTitle title="Overview" />
        <label class="field inline">
          <span>The last</span>
          <select value={name} onChange={(event) => setName(event.currentTarget.value as WindowName)}>
            {Object.keys(WINDOWS).map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
      </div>
      {poll.error.value && <Problem title="Failed to load the overview" error={poll.error.value} />}
      {activity === null && !poll.error.value && <p class="quiet">Loading activity…</p>}
      {activity && <Figures activity={activity} />}
    </>
  );
}

function Figures({ activity }: { activity: Activity }) {
  const { times, kinds } = activity;
  const sum = (name: "pending" | "running" | "succeeded" | "failed" | "cancelled") =>
    formatCount(kinds.reduce((total, kind) => total + kind[name], 0));
  return (
    <>
      <dl class="totals" aria-label="Tasks">
        {(["running", "pending", "succeeded", "failed", "cancelled"] as const).map((name) => (
          <div key={name} class={`total ${name}`}>
            <dt>{name}</dt>
            <dd>{sum(name)}</dd>
          </div>
        ))}
      </dl>
      <div class="plots">
        <Plot
          title="Started and ended per second"
          times={times}
          lines={[
            { name: "started", color: "--running", values: activity.started },
            { name: "succeeded", color: "--succeeded", values: activity.succeeded },
            { name: "failed", color: "--failed", values: activity.failed },
            { name: "cancelled", color: "--cancelled", values: activity.cancelled },
          ]}
        />
        <Plot
          title="Running"
          times={times}
          lines={[{ name: "running", color: "--running", values: activity.running }]}
        />
      </div>
      <section class="card" aria-labelledby="kinds-title">
        <h2 id="kinds-title">By kind</h2>
        <KindsTable kinds={kinds} />
      </section>
      <section class="card" aria-labelledby="sessions-title">
        <h2 id="sessions-title">Servers and workers</h2>
        <SessionsTable sessions={activity.sessions} />
      </section>
    </>
  );
}
