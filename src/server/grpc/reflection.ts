import { toBinary } from "@bufbuild/protobuf";
import type { DescFile } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { ReflectionService } from "@grpc/reflection";

/**
 * Creates server reflection, v1 and v1alpha, for files and their imports. With it, grpcurl and `buf curl` call a server
 * without a .proto file.
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
  // The service reads only the files of a package definition. One entry with all files is enough.
  return new ReflectionService({
    all: { format: "Protocol Buffer 3 EnumDescriptorProto", type: {}, fileDescriptorProtos },
  });
}
