import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { InvalidArgument } from "../../../src/domain/errors.ts";
import type { Violation } from "../../../src/domain/errors.ts";

/** One parser call: a valid request, and how to parse it. */
export class Call<Desc extends DescMessage, Parsed> {
  readonly desc: Desc;
  readonly valid: MessageInitShape<Desc> & object;
  readonly read: (message: MessageShape<Desc>) => Parsed;

  constructor(desc: Desc, valid: MessageInitShape<Desc> & object, read: (message: MessageShape<Desc>) => Parsed) {
    this.desc = desc;
    this.valid = valid;
    this.read = read;
  }

  parse(fields?: MessageInitShape<Desc> & object): Parsed {
    return this.read(create(this.desc, { ...this.valid, ...fields }));
  }

  /** Returns the violations of a request that is valid except for these fields. */
  refused(fields: MessageInitShape<Desc> & object): readonly Violation[] {
    try {
      this.parse(fields);
    } catch (error) {
      assert.ok(error instanceof InvalidArgument, String(error));
      return error.violations;
    }
    return assert.fail("the request was not rejected");
  }

  accepts(name: string, fields: MessageInitShape<Desc> & object): void {
    it(`accepts ${name}`, () => void this.parse(fields));
  }

  refuses(name: string, fields: MessageInitShape<Desc> & object, field: string, description: RegExp): void {
    it(`rejects ${name}`, () => {
      const violations = this.refused(fields);
      assert.deepEqual(
        violations.map((violation) => violation.field),
        [field],
      );
      assert.match(violations[0]!.description, description);
    });
  }
}

/** A google.protobuf.Duration or Timestamp. */
export function seconds(count: number, nanos = 0) {
  return { seconds: BigInt(count), nanos };
}

export function times<Value>(count: number, value: Value): Value[] {
  return Array.from({ length: count }, () => value);
}

/** A number of valid labels. */
export function labels(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, "value"]));
}
