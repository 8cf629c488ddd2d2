import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata } from "@grpc/grpc-js";
import type { StatusObject } from "@grpc/grpc-js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.ts";
import type { RpcError } from "../errors.ts";

/** Converts an error to a gRPC status. The details are sent as a google.rpc.Status in the standard trailer. */
export function toGrpcStatus({ code, message, details }: RpcError): StatusObject {
  const packed = details.map(({ desc, value }) => anyPack(desc, value));
  const status = toBinary(StatusSchema, create(StatusSchema, { code, message, details: packed }));
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(status.buffer, status.byteOffset, status.byteLength));
  return { code: code as number, details: message, metadata };
}
