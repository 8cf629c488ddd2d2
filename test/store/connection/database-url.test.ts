import assert from "node:assert/strict";
import { databasePlace } from "../../../src/store/connection/database-url.ts";

describe("the place of a database", () => {
  const PLACES: [url: string, place: string][] = [
    ["postgres://u:hidden@db.example:5433/shop?sslmode=require", "db.example:5433/shop"],
    ["postgres://u:hidden@/shop?host=/run/postgresql", "/run/postgresql/shop"],
    ["postgres:///shop?host=127.0.0.1&password=hidden", "127.0.0.1/shop"],
    ["postgres:///shop", "the database"],
    ["postgres://u:hidden@one:1,two/shop?target_session_attrs=primary", "one:1,two/shop"],
    ["postgres://u:hi#dden@db.example/shop", "the database"],
  ];
  for (const [url, place] of PLACES) it(`of ${url} is ${place}`, () => assert.equal(databasePlace(url), place));
});
