"""Record batches: columns of records, their codecs, and the frames in which they travel and rest.

records.proto describes the format. Everything here is plain computation on bytes: no file, no network,
no clock. Nobody else packs or unpacks a frame, or looks into a batch's records.
"""

from streamkeep_common.records.check import check_produced_batch
from streamkeep_common.records.codecs import CODEC_MASK, Codec, codec_of, compress, decompress
from streamkeep_common.records.decode import RecordColumns, decode_batch
from streamkeep_common.records.encode import encode_batch
from streamkeep_common.records.frame import (
    CONTROL,
    FRAME_HEADER_BYTES,
    LOG_APPEND_TIME,
    TRANSACTIONAL,
    FrameHeader,
    batch_to_frame,
    pack_header,
    produced_values,
    records_crc,
    stamp,
    unpack_header,
    verify_batch,
    verify_records,
)

__all__ = [
    "CODEC_MASK",
    "CONTROL",
    "FRAME_HEADER_BYTES",
    "LOG_APPEND_TIME",
    "TRANSACTIONAL",
    "Codec",
    "FrameHeader",
    "RecordColumns",
    "batch_to_frame",
    "check_produced_batch",
    "codec_of",
    "compress",
    "decode_batch",
    "decompress",
    "encode_batch",
    "pack_header",
    "produced_values",
    "records_crc",
    "stamp",
    "unpack_header",
    "verify_batch",
    "verify_records",
]
