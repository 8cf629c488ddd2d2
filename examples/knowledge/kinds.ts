import { defineKinds } from "@spooltape/client";
import { ingestKind } from "./ingest/ingest.ts";
import { MIGRATIONS } from "./migrations.ts";
import { synthKind } from "./synth/synth.ts";

/** For one page of synth, from the request to the last of the answer. */
const MODEL_TIMEOUT_MS = 10 * 60_000;

/** A knowledge base of files: `ingest` reads them into documents and chunks, `synth` writes a page of each document. */
export const knowledge = defineKinds({
  name: "knowledge",
  migrations: MIGRATIONS,
  open: ({ database: db, namespace, sourcesDir, model, meter }) => ({
    kinds: [
      ingestKind({ db, namespace, sourcesDir }),
      synthKind({ db, namespace, model: model && { ...model, timeoutMs: MODEL_TIMEOUT_MS }, meter }),
    ],
  }),
});
