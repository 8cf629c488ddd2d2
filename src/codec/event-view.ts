import type { EventView } from "../domain/series.ts";
import { EventView as EventViewValue } from "../gen/spool/v1/event_pb.ts";

const VALUES = {
  recorded: EventViewValue.RECORDED,
  folded: EventViewValue.FOLDED,
} satisfies Record<EventView, EventViewValue>;

export const EVENT_VIEWS = Object.keys(VALUES) as EventView[];

export function toEventViewValue(view: EventView): EventViewValue {
  return VALUES[view];
}

/** @returns `recorded` for UNSPECIFIED; undefined for a view that this version does not know */
export function fromEventViewValue(value: EventViewValue): EventView | undefined {
  if (value === EventViewValue.UNSPECIFIED) return "recorded";
  return EVENT_VIEWS.find((view) => VALUES[view] === value);
}
