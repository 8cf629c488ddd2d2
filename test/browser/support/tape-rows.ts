import type { Locator, Page } from "playwright-core";

/** What a row of the tape shows. */
export interface ShownRow {
  seq: number;
  /** Empty: the event was not read yet. */
  label: string;
  text: string;
}

/** The list of a task's events. */
export function tapeList(page: Page): Locator {
  return page.getByRole("listbox", { name: "Events" });
}

/** How many events the page says that the tape has. */
export async function tapeCount(page: Page): Promise<number> {
  return Number((await page.getByTestId("tape-count").innerText()).replaceAll(/\D/g, ""));
}

/** The rows that are made: those in view, and some above and below. */
export function madeRows(page: Page): Promise<ShownRow[]> {
  return tapeList(page)
    .getByRole("option")
    .evaluateAll((all) =>
      all.map((row) => {
        const textOf = (name: string) => row.querySelector(`.tape-${name}`)!.textContent;
        return { seq: Number(textOf("seq").replaceAll(",", "")), label: textOf("label"), text: textOf("text") };
      }),
    );
}

/** The rows in view, from edge to edge, however late they are made: an empty list while there are gaps between them. */
export function rowsInView(page: Page): Promise<ShownRow[]> {
  return tapeList(page).evaluate((list) => {
    const { top, bottom } = list.getBoundingClientRect();
    const rows = [...list.querySelectorAll("[role=option]")].filter((row) => {
      const place = row.getBoundingClientRect();
      return place.bottom > top + 1 && place.top < bottom - 1;
    });
    const first = rows.at(0)?.getBoundingClientRect();
    const last = rows.at(-1)?.getBoundingClientRect();
    const isWhole = first !== undefined && first.top <= top + 2 && last!.bottom >= bottom - 2;
    const textOf = (row: Element, name: string) => row.querySelector(`.tape-${name}`)!.textContent;
    if (!isWhole) return [];
    return rows.map((row) => ({
      seq: Number(textOf(row, "seq").replaceAll(",", "")),
      label: textOf(row, "label"),
      text: textOf(row, "text"),
    }));
  });
}
