import type { Client, MethodDefinition } from "@grpc/grpc-js";

const NOTHING = Buffer.alloc(0);

/** Calls a method that takes nothing and answers nothing. */
export function callEmpty(
  client: Client,
  { path, requestSerialize, responseDeserialize }: MethodDefinition<Buffer, Buffer>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, NOTHING, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}
