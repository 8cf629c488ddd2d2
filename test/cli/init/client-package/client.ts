// The exports of @spooltape/client, from the sources of this checkout.

export * from "../../../../src/client/client.ts";
export * from "../../../../src/kinds/define-kind.ts";
