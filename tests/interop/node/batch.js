// Batches: from records to what is produced, and back, with both checksums. What is computed here is said in
// records.proto; nothing else was looked at.

import { compress, decompress } from "./codec.js";
import { Records } from "./protos.js";

export const HEADER_BYTES = 100; // of a frame, before its records
const LAYOUT_VERSION = 1;
const APPEND_TIME = 1 << 8; // of leader_flags: append_time_ms is every record's timestamp
const CODEC_MASK = 0b111; // of attributes
const CONTROL = 1 << 5; // of attributes

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

export function crc32c(...pieces) {
  let value = ~0;
  for (const piece of pieces) {
    for (const byte of piece) value = (value >>> 8) ^ TABLE[(value ^ byte) & 0xff];
  }
  return ~value >>> 0;
}

// Over the values of fields 6 to 13, then the records as they are sent.
export const recordsCrc = (batch) => crc32c(producedValues(batch), batch.records);

// Over the values of fields 1 to 4, 6 to 13 and 14.
export function headerCrc(batch) {
  const stamped = Buffer.alloc(24);
  stamped.writeBigInt64LE(BigInt(batch.base_offset), 0);
  stamped.writeInt32LE(batch.leader_epoch, 8);
  stamped.writeUInt32LE(batch.leader_flags, 12);
  stamped.writeBigInt64LE(BigInt(batch.append_time_ms), 16);
  const last = Buffer.alloc(4);
  last.writeUInt32LE(batch.records_crc32c);
  return crc32c(stamped, producedValues(batch), last);
}

function producedValues(batch) {
  const values = Buffer.alloc(44);
  values.writeUInt32LE(batch.attributes, 0);
  values.writeUInt32LE(batch.last_offset_delta, 4);
  values.writeUInt32LE(batch.record_count, 8);
  values.writeBigInt64LE(BigInt(batch.base_timestamp_ms), 12);
  values.writeBigInt64LE(BigInt(batch.max_timestamp_ms), 20);
  values.writeBigInt64LE(BigInt(batch.producer_id), 28);
  values.writeInt32LE(batch.producer_epoch, 36);
  values.writeInt32LE(batch.base_sequence, 40);
  return values;
}

const EMPTY = Buffer.alloc(0);
const indexesOf = (records, test) => records.flatMap((record, index) => (test(record) ? [index] : []));

export function encodeBatch(records, codec, producerId, producerEpoch, baseSequence) {
  const base = records[0].timestamp;
  const columns = {
    keys: records.map(({ key }) => key ?? EMPTY),
    values: records.map(({ value }) => value ?? EMPTY),
    timestamp_deltas: records.map(({ timestamp }) => timestamp - base),
    null_keys: indexesOf(records, ({ key }) => key === null),
    null_values: indexesOf(records, ({ value }) => value === null),
    headers: indexesOf(records, ({ headers }) => headers.length > 0).map((index) => ({
      index,
      names: records[index].headers.map(([name]) => name),
      values: records[index].headers.map(([, bytes]) => bytes),
    })),
  };
  const batch = {
    attributes: codec,
    last_offset_delta: records.length - 1,
    record_count: records.length,
    base_timestamp_ms: base,
    max_timestamp_ms: Math.max(...records.map(({ timestamp }) => timestamp)),
    producer_id: producerId,
    producer_epoch: producerEpoch,
    base_sequence: baseSequence,
    records: compress(codec, Records.serialize(columns)),
  };
  return { ...batch, records_crc32c: recordsCrc(batch) };
}

// Checks a fetched batch and gives its records. Header first: nothing of it is believed before.
export function decodeBatch(partition, batch) {
  const at = `the batch at offset ${batch.base_offset}`;
  demand(headerCrc(batch) === batch.header_crc32c, `the header of ${at} does not match its checksum`);
  demand((batch.leader_flags & 0xff) === LAYOUT_VERSION, `${at} has another layout`);
  demand(recordsCrc(batch) === batch.records_crc32c, `the records of ${at} do not match their checksum`);
  const count = batch.record_count;
  if (count === 0 || batch.attributes & CONTROL) return [];
  const columns = Records.deserialize(decompress(batch.attributes & CODEC_MASK, batch.records));
  const { keys, values, timestamp_deltas: times, offset_deltas: offsets } = columns;
  const fits = ({ length }) => length === 0 || length === count;
  demand(values.length === count && [keys, times, offsets].every(fits), `the columns of ${at} differ in length`);
  const base = Number(batch.base_offset);
  const records = values.map((value, index) => ({
    partition,
    offset: base + (offsets.length ? offsets[index] : index),
    timestamp: timestampOf(batch, times, index),
    key: keys.length ? keys[index] : null,
    value,
    headers: [],
  }));
  return withNullsAndHeaders(records, columns, at);
}

function timestampOf(batch, deltas, index) {
  if (batch.leader_flags & APPEND_TIME) return Number(batch.append_time_ms);
  return Number(batch.base_timestamp_ms) + (deltas.length ? Number(deltas[index]) : 0);
}

function withNullsAndHeaders(records, { null_keys, null_values, headers }, at) {
  const known = (index) => index < records.length;
  demand([...null_keys, ...null_values].every(known), `${at} has fewer records than nulls`);
  for (const index of null_keys) records[index].key = null;
  for (const index of null_values) records[index].value = null;
  for (const { index, names, values } of headers) {
    demand(known(index) && names.length === values.length, `the headers of ${at} are not as they should be`);
    records[index].headers = names.map((name, place) => [name, values[place]]);
  }
  return records;
}

function demand(fine, complaint) {
  if (!fine) throw new Error(complaint);
}
