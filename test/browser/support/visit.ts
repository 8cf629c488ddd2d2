import assert from "node:assert/strict";
import type { BrowserContextOptions, Page, Request } from "playwright-core";
import { sharedBrowser } from "./stage.ts";

declare global {
  interface Window {
    /** What the page's policy has refused. */
    refusals: string[];
    streamsOpen: number;
    streamsMax: number;
  }
}

/** A page of a browser without a past. Disposing closes it, and fails where the page has complained of anything. */
export interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** The URLs of the streams that are open now, as the browser knows. */
  streams(): readonly string[];
  /** The most streams that the page itself had open at once since it was loaded. */
  streamsMax(): Promise<number>;
  /** What the browser itself says of answers that are errors, which a test brings about, is no complaint. */
  expect(complaint: RegExp): void;
}

const STREAMS = /\/(StreamEvents|FollowTasks|RunTask)$/;

/** @param url where to go; the fragment is what the console shows */
export async function visit(url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const browser = await sharedBrowser();
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  const expected: RegExp[] = [];
  const open = new Set<Request>();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (STREAMS.test(request.url())) open.add(request);
  });
  for (const end of ["requestfinished", "requestfailed"] as const) {
    page.on(end as "requestfinished", (request) => open.delete(request));
  }
  await page.addInitScript(() => {
    window.refusals = [];
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      window.refusals.push(`${violatedDirective} ${blockedURI}`);
    });
    // The browser tells of the end of a request later than of the next one's beginning. The page ends a stream by its
    // signal, when it leaves it and when it has read it to its end.
    const { fetch } = window;
    window.streamsOpen = 0;
    window.streamsMax = 0;
    window.fetch = (input: RequestInfo | URL, init?: RequestInit) => {
      if (
        /\/(StreamEvents|FollowTasks|RunTask)$/.test(
          typeof input === "string" ? input : "url" in input ? input.url : input.href,
        )
      ) {
        window.streamsMax = Math.max(window.streamsMax, ++window.streamsOpen);
        init!.signal!.addEventListener("abort", () => window.streamsOpen--, { once: true });
      }
      return fetch(input, init);
    };
  });
  await page.goto(url);
  return {
    page,
    streams: () => Array.from(open, (request) => request.url()),
    streamsMax: () => page.evaluate(() => window.streamsMax),
    expect: (complaint) => void expected.push(complaint),
    async [Symbol.asyncDispose]() {
      const refusals = await page.evaluate(() => window.refusals).catch(() => []);
      await context.close();
      const unexpected = complaints.filter((text) => !expected.some((pattern) => pattern.test(text)));
      assert.deepEqual([...unexpected, ...refusals], []);
    },
  };
}
