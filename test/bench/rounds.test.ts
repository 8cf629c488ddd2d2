import assert from "node:assert/strict";
import type { Figure, Measure } from "../../bench/measure.ts";
import { resultsOf } from "../../bench/results.ts";
import type { Taken } from "../../bench/results.ts";
import { takeRounds } from "../../bench/rounds.ts";
import type { Failure } from "../../bench/rounds.ts";
import { verdictsOf } from "../../bench/verdicts.ts";

describe("the benchmark", () => {
  it("runs the measures in turn, each once per round and at most for its own number of rounds", async () => {
    const { told, taken } = await take([measure("one"), measure("two", { roundsMax: 1 }), measure("three")], 2);
    assert.deepEqual(told, [
      "one 1",
      "two 1",
      "three 1",
      "one 2",
      "three 2",
      "three closed",
      "two closed",
      "one closed",
    ]);
    assert.deepEqual(Object.fromEntries(taken), { one: [1, 2], two: [1], three: [1, 2] });
  });

  it("reports a measure that fails, stops running it, and keeps its earlier results and those of other measures", async () => {
    const measures = [measure("breaks", { failsIn: 2 }), measure("holds", { against: "breaks" })];
    const { told, taken, failures } = await take(measures, 3);
    assert.deepEqual(told, ["breaks 1", "holds 1", "holds 2", "holds 3", "holds closed", "breaks closed"]);
    assert.deepEqual(failures, [{ measure: "breaks", round: 2, error: new Error("breaks") }]);
    const results = resultsOf(measures, taken);
    assert.deepEqual(
      results.map(({ name, rounds }) => [name, rounds]),
      [
        ["breaks", [1]],
        ["holds", [1, 2, 3]],
      ],
    );
    assert.deepEqual(
      verdictsOf(results).map(({ what, held }) => [what, held]),
      [["holds / breaks", true]],
    );
  });

  it("continues without a measure that cannot be prepared and compares no other measure with it", async () => {
    const measures = [measure("cannot", { failsIn: 0 }), measure("holds", { against: "cannot" })];
    const { told, taken, failures } = await take(measures, 1);
    assert.deepEqual(told, ["holds 1", "holds closed"]);
    assert.deepEqual(failures, [{ measure: "cannot", round: null, error: new Error("cannot") }]);
    const results = resultsOf(measures, taken);
    assert.deepEqual(
      results.map(({ name }) => name),
      ["holds"],
    );
    assert.deepEqual(verdictsOf(results), []);
  });

  it("reports a measure that cannot be closed and closes the other measures", async () => {
    const { told, failures } = await take([measure("one"), measure("stays", { failsToClose: true })], 1);
    assert.deepEqual(told, ["one 1", "stays 1", "one closed"]);
    assert.deepEqual(failures, [{ measure: "stays", round: null, error: new Error("stays") }]);
  });
});

interface Plan {
  roundsMax?: number;
  /** 0: when it is prepared. */
  failsIn?: number;
  failsToClose?: boolean;
  against?: string;
}

interface Planned extends Measure, Plan {}

function measure(name: string, { against, ...plan }: Plan = {}): Planned {
  const comparisons = against === undefined ? [] : [{ with: against, bar: { atLeast: 1 } }];
  const figure: Figure = { name, unit: "rounds", about: "The number of the round.", comparisons };
  return {
    name,
    about: figure.about,
    figures: [figure],
    prepare: () => assert.fail("prepared as it is told below"),
    ...plan,
  };
}

/** @returns what was done, in order; what was taken; and what failed */
async function take(measures: readonly Planned[], rounds: number) {
  const told: string[] = [];
  const taken: Taken = new Map();
  const failures: Failure[] = [];
  const plans = new Map<Measure, Planned>(measures.map((planned) => [planned, planned]));
  await takeRounds(measures, {
    rounds,
    async prepare(measure) {
      const { name, failsIn, failsToClose } = plans.get(measure)!;
      if (failsIn === 0) throw new Error(name);
      let round = 0;
      return {
        async run() {
          if (++round === failsIn) throw new Error(name);
          told.push(`${name} ${round}`);
          return { [name]: round };
        },
        close() {
          if (failsToClose) throw new Error(name);
          told.push(`${name} closed`);
        },
      };
    },
    taken,
    watcher: { onStep() {}, onTaken() {}, onFailure: (failure) => failures.push(failure) },
  });
  return { told, taken, failures };
}
