import type { FoldedPart, SeenEvent } from "../../history.ts";
import type { SeededRandom } from "../../../fault/support/random.ts";

/** Returns events as the folded view may show them: a server may end a run anywhere. */
export function foldedView(events: readonly SeenEvent[], random: SeededRandom): SeenEvent[] {
  const view: SeenEvent[] = [];
  let run: SeenEvent[] = [];
  const endRun = () => {
    if (run.length > 0) view.push(run.length === 1 ? run[0]! : foldRun(run));
    run = [];
  };
  for (const event of events) {
    const isFoldable = event.series !== undefined && event.series.mode !== "all";
    if (!isFoldable || random.next() < 0.1) endRun();
    if (isFoldable) run.push(event);
    else view.push(event);
  }
  endRun();
  return view;
}

function foldRun(run: readonly SeenEvent[]): SeenEvent {
  const first = run[0]!.seq;
  const coversTo = run.at(-1)!.seq;
  const parts = [...Map.groupBy(run, ({ series }) => series!.name).values()].map((events): FoldedPart => {
    const last = events.at(-1)!;
    const series = last.series!;
    const text = events.map((event) => event.series!.text ?? "").join("");
    const { kind, name, mode, payload } = series;
    return {
      kind,
      name,
      mode,
      ...(mode === "append" ? { text } : { payload: payload! }),
      count: events.length,
      firstSeq: events[0]!.seq,
      lastSeq: last.seq,
    };
  });
  return { seq: first, coversTo, type: "folded", digest: `f${first}-${coversTo}`, parts };
}
