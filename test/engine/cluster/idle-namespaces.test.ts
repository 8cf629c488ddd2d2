import assert from "node:assert/strict";
import FakeTimers from "@sinonjs/fake-timers";
import { pino } from "pino";
import { IdleNamespaces } from "../../../src/engine/cluster/idle-namespaces.ts";
import type { NamespaceWork } from "../../../src/store/tasks/namespace-work.ts";

const NONE: NamespaceWork = { tasks: false, sessions: false, removals: false, retained: false };
const log = pino({ level: "silent" });
/** By the clock of the test. */
const delay = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

describe("the idle namespaces of a shard", () => {
  let clock: FakeTimers.Clock;
  /** What namespaces have to do, besides nothing. */
  let stored: Record<string, Partial<NamespaceWork>>;
  /** The namespaces of each check. */
  let checks: string[][];
  /** Checks wait for this before they are sent. */
  let connected: () => Promise<void>;
  /** Checks wait for this after they were sent. */
  let slow: (namespaces: readonly string[]) => Promise<void>;
  beforeEach(() => {
    clock = FakeTimers.install({ toNotFake: ["nextTick", "queueMicrotask"] });
    stored = {};
    checks = [];
    slow = async () => {};
    connected = async () => {};
  });
  afterEach(() => clock.uninstall());

  function open(): IdleNamespaces {
    const read = async (namespaces: readonly string[], onSend: () => void) => {
      await connected();
      onSend();
      checks.push([...namespaces]);
      await slow(namespaces);
      return new Map(namespaces.map((name) => [name, { ...NONE, ...stored[name] }]));
    };
    return new IdleNamespaces({ db: undefined as never, log, read });
  }

  it("are those in which the last check has found nothing, for each sort of work", async () => {
    stored = { b: { tasks: true }, c: { removals: true, retained: true } };
    const idle = open();
    const watches = ["a", "b", "c"].map((name) => idle.watch(name, () => {}));
    const sorts = ["tasks", "removals", "retained"] as const;
    const found = () => watches.map((watch) => sorts.map((sort) => watch.mayHave(sort)));
    assert.ok(found().flat().every(Boolean), "nothing is known before the first check");
    await clock.tickAsync(1_000);
    assert.deepEqual(checks, [["a", "b", "c"]]);
    assert.deepEqual(found(), [
      [false, false, false],
      [true, false, false],
      [false, true, true],
    ]);
  });

  it("are checked every second, and namespaces with tasks every 10 s", async () => {
    stored = { b: { tasks: true } };
    const idle = open();
    for (const name of ["a", "b"]) idle.watch(name, () => {});
    await clock.tickAsync(12_500);
    const counts = ["a", "b"].map((name) => checks.filter((check) => check.includes(name)).length);
    assert.deepEqual(counts, [12, 2]);
  });

  it("are not known to be idle after the last check has become too old", async () => {
    const idle = open();
    const watch = idle.watch("a", () => {});
    await clock.tickAsync(1_000);
    const answered = Promise.withResolvers<void>();
    slow = () => answered.promise;
    await clock.tickAsync(1_900);
    assert.equal(watch.mayHave("tasks"), false);
    await clock.tickAsync(200);
    assert.equal(watch.mayHave("tasks"), true);
    answered.resolve();
    await clock.tickAsync(0);
    slow = () => Promise.reject(new Error("the database has ended the statement"));
    await clock.tickAsync(10_000);
    assert.equal(watch.mayHave("tasks"), true);
    slow = async () => {};
    await clock.tickAsync(1_100);
    assert.equal(watch.mayHave("tasks"), false);
  });

  it("report once that one of them has tasks again", async () => {
    stored = { busy: { tasks: true } };
    const idle = open();
    const reported: string[] = [];
    for (const name of ["a", "busy"]) idle.watch(name, () => reported.push(name));
    await clock.tickAsync(3_000);
    assert.deepEqual(reported, []);
    stored.a = { tasks: true };
    await clock.tickAsync(1_000);
    assert.deepEqual(reported, ["a"]);
    await clock.tickAsync(30_000);
    assert.deepEqual(reported, ["a"]);
  });

  it("are checked 50 per statement, and a slow statement delays no other ones", async () => {
    const idle = open();
    const watches = Array.from({ length: 101 }, (_, i) => idle.watch(`n${i}`, () => {}));
    slow = (namespaces) => (namespaces.includes("n0") ? new Promise(() => {}) : Promise.resolve());
    await clock.tickAsync(1_000);
    assert.deepEqual(
      checks.map(({ length }) => length),
      [50, 50, 1],
    );
    const isKnown = watches.map((watch) => !watch.mayHave("tasks"));
    assert.deepEqual(isKnown, [...Array(50).fill(false), ...Array(51).fill(true)]);
  });

  it("are valid from the time at which the check was sent, not from the time at which it began to wait", async () => {
    const idle = open();
    const watch = idle.watch("a", () => {});
    connected = () => delay(5_000);
    await clock.tickAsync(6_000);
    assert.equal(watch.mayHave("tasks"), false);
  });

  it("are checked in statements apart from those that had tasks", async () => {
    stored = { b: { tasks: true } };
    const idle = open();
    for (const name of ["a", "b"]) idle.watch(name, () => {});
    await clock.tickAsync(11_500);
    assert.deepEqual(checks[0], ["a", "b"]);
    assert.deepEqual(checks.slice(-2), [["a"], ["b"]]);
  });

  it("are not known to be idle while checks take long, which are then repeated rarely", async () => {
    const idle = open();
    const watch = idle.watch("a", () => {});
    slow = () => delay(300);
    await clock.tickAsync(5_000);
    // One before it was known to be idle, and two in a row that begin the pause.
    assert.equal(checks.length, 3);
    assert.equal(watch.mayHave("tasks"), true);
    slow = async () => {};
    await clock.tickAsync(49 * 300);
    assert.equal(watch.mayHave("tasks"), false);
  });

  it("leave expired sessions to one of them", async () => {
    stored = { a: { sessions: true }, b: { sessions: true } };
    const idle = open();
    const watches = ["a", "b"].map((name) => idle.watch(name, () => {}));
    await clock.tickAsync(1_000);
    assert.deepEqual(
      watches.map((watch) => watch.mayHave("sessions")),
      [true, false],
    );
  });

  it("are not checked after their watch has ended", async () => {
    const idle = open();
    const [a, b] = [idle.watch("a", () => {}), idle.watch("b", () => {})];
    await idle.leave(a!);
    await clock.tickAsync(1_000);
    assert.deepEqual(checks, [["b"]]);
    await idle.leave(b!);
    await clock.tickAsync(5_000);
    assert.deepEqual(checks, [["b"]]);
    assert.equal(clock.countTimers(), 0);
    idle.watch("c", () => {});
    await clock.tickAsync(1_000);
    assert.deepEqual(checks, [["b"], ["c"]]);
  });
});
