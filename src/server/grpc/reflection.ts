import { toBinary } from "@bufbuild/protobuf";
import type { DescFile } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { ReflectionService } from "@grpc/reflection";

/**
 * Server reflection, v1 and v1alpha, of some files and all that they import: what lets grpcurl and `buf curl` call a
 * server without a .proto at hand.
 */
export function reflectionOf(files: readonly DescFile[]): ReflectionService {
  const all = new Set<DescFile>();
  const collect = (file: DescFile): void => {
    if (all.has(file)) return;
    all.add(file);
    file.dependencies.forEach(collect);
  };
  files.forEach(collect);
  const fileDescriptorProtos = [...all].map((file) => Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  // Of a package's definitions the service reads only the files, and those of one entry are enough for all.
  return new ReflectionService({
    all: { format: "Protocol Buffer 3 EnumDescriptorProto", type: {}, fileDescriptorProtos },
  });
}
