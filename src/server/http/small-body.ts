import { InvalidArgument } from "../../domain/errors.ts";
import type { HttpRequest } from "./http-server.ts";

/**
 * Reads the body of a request as the object that it is in JSON. A body that is too long is not buffered.
 *
 * @param example of a body, for the error
 * @throws InvalidArgument, or another error if the caller disconnects
 */
export async function readJsonObject(
  request: HttpRequest,
  { bytesMax, example }: { bytesMax: number; example: string },
): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= bytesMax) chunks.push(chunk);
  }
  if (bytes > bytesMax) throw invalid("body", `must be at most ${bytesMax} bytes`);
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString());
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Reported below, as any body that is not an object.
  }
  throw invalid("body", `must be a JSON object such as ${example}`);
}

/** Checks that an object has no other field. @throws InvalidArgument */
export function requireOnlyField(fields: Readonly<Record<string, unknown>>, known: string): void {
  const unknown = Object.keys(fields).find((name) => name !== known);
  if (unknown !== undefined) throw invalid(unknown, `unknown field; known field: ${known}`);
}

export function invalid(field: string, description: string): InvalidArgument {
  return new InvalidArgument([{ field, description }]);
}
