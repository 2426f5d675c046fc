// The codecs, each with the frame that records.proto names and a bound on what comes out. All five are read;
// zstd is not written, for Node 20 has no compressor of its own.

import { gunzipSync, gzipSync } from "node:zlib";
import { decompress as unzstd } from "fzstd";
import lz4 from "lz4-napi";
import snappy from "snappyjs";

export const CODECS = ["none", "gzip", "snappy", "lz4", "zstd"];
const MAX_RECORDS_BYTES = 64 << 20;

const compressors = [
  (plain) => plain,
  (plain) => gzipSync(plain, { level: 1 }),
  (plain) => Buffer.from(snappy.compress(plain)),
  (plain) => lz4.compressFrameSync(plain),
];

const decompressors = [
  (packed) => packed,
  (packed) => gunzipSync(packed, { maxOutputLength: MAX_RECORDS_BYTES }),
  (packed) => Buffer.from(snappy.uncompress(packed, MAX_RECORDS_BYTES)),
  (packed) => bounded(lz4.decompressFrameSync(packed)),
  (packed) => bounded(unzstd(packed)),
];

export function codecNamed(name) {
  const number = CODECS.indexOf(name);
  if (!(number in compressors)) throw new Error(`this client cannot write '${name}'`);
  return number;
}

export const compress = (codec, plain) => compressors[codec](plain);

export function decompress(codec, packed) {
  if (!(codec in decompressors)) throw new Error(`there is no codec ${codec}`);
  return decompressors[codec](packed);
}

function bounded(plain) {
  if (plain.length > MAX_RECORDS_BYTES) throw new Error("the records hold more than any batch may");
  return Buffer.from(plain.buffer, plain.byteOffset, plain.length);
}
