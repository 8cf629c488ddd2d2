import { fromBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, MessageShape } from "@bufbuild/protobuf";
import { SpoolError } from "../../domain/errors.ts";
import { checkBinaryRequest } from "./request-bounds.ts";

/** Decodes a request of a method. @throws SpoolError (INVALID_ARGUMENT) if it exceeds its bounds or is malformed */
export function decodeRequest(method: DescMethod, bytes: Uint8Array): MessageShape<DescMessage> {
  checkBinaryRequest(method, bytes);
  return decode(method.input, bytes);
}

/**
 * Decodes a message. The decoder rejects text that is not UTF-8, and malformed bytes.
 *
 * @throws SpoolError (INVALID_ARGUMENT)
 */
export function decode<Desc extends DescMessage>(desc: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(desc, bytes, { readUnknownFields: false });
  } catch (cause) {
    const isText = (cause as NodeJS.ErrnoException).code === "ERR_ENCODING_INVALID_ENCODED_DATA";
    const problem = isText ? "it holds text that is not valid UTF-8" : "its bytes are malformed";
    throw new SpoolError("INVALID_ARGUMENT", `the request must be a ${desc.typeName}: ${problem}`, { cause });
  }
}
