import { promisify } from "node:util";
import { brotliDecompress, gunzip } from "node:zlib";
import type { DescMethod } from "@bufbuild/protobuf";
import { pause } from "../../async/pause.ts";
import { within } from "../../async/time-limit.ts";
import { SpoolError, Unimplemented } from "../../domain/errors.ts";
import { MESSAGE_BYTES_MAX } from "../../domain/limits.ts";
import {
  checkBinaryRequest,
  checkJsonRequest,
  requestBytesMax,
  tooLarge,
} from "../../rpc/validation/request-bounds.ts";
import type { HttpRequest } from "./http-server.ts";

/** How a request of a protocol contains its message. */
interface Framing {
  /** Whether an envelope precedes the message: five bytes with flags and length. */
  isEnveloped: boolean;
  isJson: boolean;
  /** The header that names the compression. */
  encodingHeader: string;
}

const ENVELOPE_BYTES = 5;
const COMPRESSED = 1;
/** How much of a refused request is read and discarded, so that its caller gets to reading the response. */
const DISCARD_BYTES_MAX = 4 * MESSAGE_BYTES_MAX;
/**
 * The pause before each chunk (64 KiB) of a refused request: 4 MiB take a third of a second. At full speed, reading
 * would cost more than the refusal, and the caller could send the next request at once.
 */
const DISCARD_PAUSE_MS = 5;

/** After so many bytes the beginning is checked: that detects most requests with too many values. */
const BEGINNING_BYTES = 128 * 1_024;

const DECOMPRESS: Readonly<Record<string, (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  gzip: promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip),
  br: promisify<Buffer, { maxOutputLength: number }, Buffer>(brotliDecompress),
};

/** Returns the framing of a content type. @param contentType a content type that Connect supports */
export function framingOf(contentType: string): Framing {
  const isJson = contentType.includes("json");
  if (contentType.startsWith("application/grpc-web")) {
    return { isEnveloped: true, isJson, encodingHeader: "grpc-encoding" };
  }
  const isEnveloped = contentType.startsWith("application/connect+");
  return { isEnveloped, isJson, encodingHeader: isEnveloped ? "connect-content-encoding" : "content-encoding" };
}

/**
 * Reads the body of a call with one message and returns it decompressed. Reads no more bytes than the method allows.
 * The result is within the bounds of a request, so decoding it does not block the server.
 *
 * @throws SpoolError that says what is wrong with the body
 */
export async function readRequestBody(
  request: HttpRequest,
  method: DescMethod,
  { isEnveloped, isJson, encodingHeader, timeoutMs }: Framing & { timeoutMs: number },
): Promise<Uint8Array> {
  const bytesMax = requestBytesMax(method);
  const sentMax = bytesMax + (isEnveloped ? ENVELOPE_BYTES : 0);
  const isPlain = String(request.headers[encodingHeader] ?? "identity") === "identity";
  const checkBeginning = (bytes: Uint8Array) => {
    if (isJson && isPlain) checkJsonRequest(method, isEnveloped ? bytes.subarray(ENVELOPE_BYTES) : bytes);
  };
  const body = await inTime(timeoutMs, readAll(request, { sentMax, bytesMax, checkBeginning }));
  const { content, isCompressed } = isEnveloped ? openEnvelope(body, bytesMax) : { content: body, isCompressed: true };
  const encoding = isCompressed ? String(request.headers[encodingHeader] ?? "identity") : "identity";
  const message = await decompress(content, { encoding, encodingHeader, bytesMax });
  if (isJson) checkJsonRequest(method, message);
  else checkBinaryRequest(method, message);
  return isEnveloped ? Buffer.concat([envelopeOf(message.length), message]) : message;
}

/** Reads the whole body. A body that is refused by its beginning or size is not buffered. */
async function readAll(
  request: HttpRequest,
  options: { sentMax: number; bytesMax: number; checkBeginning: (bytes: Uint8Array) => void },
): Promise<Buffer> {
  let chunks: Buffer[] = [];
  let bytes = 0;
  let isChecked = false;
  let refusal: unknown;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > DISCARD_BYTES_MAX) break;
    if (bytes > options.sentMax) refusal ??= tooLarge(options.bytesMax);
    if (refusal !== undefined) {
      chunks = [];
      await pause(DISCARD_PAUSE_MS);
      continue;
    }
    chunks.push(chunk);
    if (isChecked || bytes < BEGINNING_BYTES) continue;
    isChecked = true;
    try {
      options.checkBeginning(Buffer.concat(chunks));
    } catch (error) {
      refusal = error;
    }
  }
  if (refusal !== undefined) throw refusal;
  return Buffer.concat(chunks);
}

/** Node's own timeouts are of HTTP/1.1 alone. */
async function inTime(timeoutMs: number, reading: Promise<Buffer>): Promise<Buffer> {
  const body = await within(reading, timeoutMs);
  if (body !== undefined) return body;
  throw new SpoolError("CALL_DEADLINE_EXCEEDED", `the request must arrive within ${timeoutMs} ms`);
}

function openEnvelope(body: Buffer, bytesMax: number): { content: Buffer; isCompressed: boolean } {
  if (body.length < ENVELOPE_BYTES) throw invalid(`the request must contain a message: it has ${body.length} bytes`);
  const length = body.readUInt32BE(1);
  if (length > bytesMax) throw tooLarge(bytesMax);
  const content = body.subarray(ENVELOPE_BYTES);
  if (content.length !== length) {
    throw invalid(`the envelope announces ${length} bytes, but the request contains ${content.length}`);
  }
  return { content, isCompressed: (body[0]! & COMPRESSED) !== 0 };
}

function envelopeOf(length: number): Buffer {
  const envelope = Buffer.alloc(ENVELOPE_BYTES);
  envelope.writeUInt32BE(length, 1);
  return envelope;
}

/** Decompresses a body. @throws SpoolError for an unknown compression or invalid bytes */
async function decompress(
  bytes: Buffer,
  { encoding, encodingHeader, bytesMax }: { encoding: string; encodingHeader: string; bytesMax: number },
): Promise<Buffer> {
  if (encoding === "identity" || encoding === "" || bytes.length === 0) return bytes;
  if (!Object.hasOwn(DECOMPRESS, encoding)) {
    const known = ["identity", ...Object.keys(DECOMPRESS)].join(", ");
    throw new Unimplemented(`${encodingHeader}: must be one of ${known}, not ${JSON.stringify(encoding)}`);
  }
  try {
    return await DECOMPRESS[encoding]!(bytes, { maxOutputLength: bytesMax });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(bytesMax);
    throw new SpoolError("INVALID_ARGUMENT", `${encodingHeader}: the request is not valid ${encoding}`, { cause });
  }
}

function invalid(what: string): SpoolError {
  return new SpoolError("INVALID_ARGUMENT", what);
}
