import type { DescMessage, DescMethod } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { InvalidArgument, SpoolError } from "../../domain/errors.ts";
import {
  FILTER_BYTES_MAX,
  PARAMS_VALUES_MAX,
  MESSAGE_BYTES_MAX,
  REQUEST_BYTES_MAX,
  REQUEST_ENTRIES_MAX,
} from "../../domain/limits.ts";
import { TaskService } from "../../gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../../gen/spool/v1/worker_service_pb.ts";
import { scanJson } from "../../codec/json-scan.ts";
import { findTooManyEntries } from "../../codec/protobuf-scan.ts";
import { inFigures } from "./checks.ts";

// Checks requests before they are decoded: decoding a request that is legal by its size alone could block the server
// for seconds.

const { startTask, runTask, listTasks, followTasks, getActivity } = TaskService.method;
const BYTES_MAX: ReadonlyMap<DescMethod, number> = new Map<DescMethod, number>([
  [startTask, MESSAGE_BYTES_MAX],
  [runTask, MESSAGE_BYTES_MAX],
  [WorkerService.method.work, MESSAGE_BYTES_MAX],
  [listTasks, FILTER_BYTES_MAX],
  [followTasks, FILTER_BYTES_MAX],
  [getActivity, FILTER_BYTES_MAX],
]);

/** Smaller requests hold too few entries to matter and are not scanned. */
const SCAN_BYTES_MIN = 8 * 1_024;

/** Returns the maximum size of a decompressed request of a method, in bytes. */
export function requestBytesMax(method: DescMethod): number {
  return BYTES_MAX.get(method) ?? REQUEST_BYTES_MAX;
}

/** Returns the error of a request that is too large for its method. */
export function tooLarge(bytesMax: number): SpoolError {
  return new SpoolError("INVALID_ARGUMENT", `the request must be at most ${inFigures(bytesMax)} bytes`);
}

/** @throws SpoolError (INVALID_ARGUMENT) for a request that is too large or has too many entries */
export function checkBinaryRequest(method: DescMethod, bytes: Uint8Array): void {
  const bytesMax = requestBytesMax(method);
  if (bytes.length > bytesMax) throw tooLarge(bytesMax);
  checkEntries(method.input, bytes);
}

/** @throws InvalidArgument for a message with too many entries */
export function checkEntries(desc: DescMessage, bytes: Uint8Array, entriesMax = REQUEST_ENTRIES_MAX): void {
  if (bytes.length < SCAN_BYTES_MIN) return;
  const field = findTooManyEntries(desc, bytes, entriesMax);
  if (field !== null) throw tooManyEntries(field, entriesMax);
}

/**
 * @throws SpoolError (INVALID_ARGUMENT) for a request that is too large, has too many values, or an integer that JSON
 *   rounds
 */
export function checkJsonRequest(method: DescMethod, bytes: Uint8Array): void {
  const bytesMax = requestBytesMax(method);
  if (bytes.length > bytesMax) throw tooLarge(bytesMax);
  const { fields } = method.input;
  const fieldOf = (member: string) => fields.find(({ name, jsonName }) => name === member || jsonName === member);
  const found = scanJson(bytes, {
    valuesMax: REQUEST_ENTRIES_MAX,
    isInteger: (member) => INTEGERS.has(fieldOf(member)?.scalar),
  });
  if (found === null) return;
  const field = fieldOf(found.member)?.name ?? found.member;
  if (found.problem === "values") throw tooManyEntries(field);
  const description = "must be quoted, or at most 2^53 - 1: a JSON number beyond that is rounded";
  throw new InvalidArgument([{ field, description }]);
}

const INTEGERS: ReadonlySet<ScalarType | undefined> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);

function tooManyEntries(field: string, entriesMax = REQUEST_ENTRIES_MAX): SpoolError {
  const bound =
    field === "params"
      ? `must hold at most ${inFigures(PARAMS_VALUES_MAX)} values`
      : `the request has more than ${inFigures(entriesMax)} entries and JSON values`;
  return field === ""
    ? new SpoolError("INVALID_ARGUMENT", bound)
    : new InvalidArgument([{ field, description: bound }]);
}
