import { constants, zstdCompress, zstdDecompress } from "node:zlib";
import { promisify } from "node:util";

// A compressed file is a sequence of zstd frames (RFC 8878). Node's decompressor stops after the first frame, so the
// frames are told apart here, by the sizes in the headers of their blocks.

export const ZSTD_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC_MIN = 0x184d2a50;
const SKIPPABLE_MAGIC_MAX = 0x184d2a5f;
const MAGIC_BYTES = 4;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
const RLE_BLOCK = 1;
/** The sizes of the fields of a frame header, by the two bits that say so. */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];

/** The most bytes of a frame, compressed and decompressed. Spool writes frames of 1 MiB and a line. */
export const FRAME_BYTES_MAX = 64 * 1024 * 1024;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Compresses bytes to one frame with a checksum. */
export function compressFrame(bytes: Buffer): Promise<Buffer> {
  return compress(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
}

/** @throws Error for a frame that is damaged, or decompresses to more than FRAME_BYTES_MAX */
export function decompressFrame(frame: Buffer): Promise<Buffer> {
  if (frame.readUInt32LE(0) !== ZSTD_MAGIC) return Promise.resolve(Buffer.alloc(0));
  return decompress(frame, { maxOutputLength: FRAME_BYTES_MAX });
}

/**
 * Returns the size of the frame that bytes begin with; null: the bytes end before the frame does.
 *
 * @throws Error if no frame begins here
 */
export function frameSize(bytes: Buffer): number | null {
  if (bytes.length < MAGIC_BYTES + 1) return null;
  const magic = bytes.readUInt32LE(0);
  if (magic >= SKIPPABLE_MAGIC_MIN && magic <= SKIPPABLE_MAGIC_MAX) {
    if (bytes.length < MAGIC_BYTES + 4) return null;
    return within(bytes, MAGIC_BYTES + 4 + bytes.readUInt32LE(MAGIC_BYTES));
  }
  if (magic !== ZSTD_MAGIC) throw new Error("no zstd frame begins here: the file is damaged");
  const descriptor = bytes[MAGIC_BYTES]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const hasChecksum = (descriptor & 0x04) !== 0;
  const contentSizeFlag = descriptor >> 6;
  const contentSizeBytes = contentSizeFlag === 0 && isSingleSegment ? 1 : CONTENT_SIZE_BYTES[contentSizeFlag]!;
  let at = MAGIC_BYTES + 1 + (isSingleSegment ? 0 : 1) + DICTIONARY_ID_BYTES[descriptor & 0x03]! + contentSizeBytes;
  for (;;) {
    if (bytes.length < at + BLOCK_HEADER_BYTES) return null;
    const header = bytes.readUIntLE(at, BLOCK_HEADER_BYTES);
    at += BLOCK_HEADER_BYTES + (((header >> 1) & 0x03) === RLE_BLOCK ? 1 : header >> 3);
    if ((header & 1) !== 0) return within(bytes, at + (hasChecksum ? CHECKSUM_BYTES : 0));
  }
}

function within(bytes: Buffer, size: number): number | null {
  return size <= bytes.length ? size : null;
}
