// A record as the harness writes and reads it: one JSON object a line, bytes in base64.

export function fromLine(line) {
  const { partition = null, timestamp_ms, key, value, headers } = JSON.parse(line);
  return {
    partition, // null: the key decides
    timestamp: timestamp_ms,
    key: fromBase64(key),
    value: fromBase64(value),
    headers: (headers ?? []).map(([name, bytes]) => [name, fromBase64(bytes)]),
  };
}

export function toLine({ partition, offset, timestamp, key, value, headers }) {
  return JSON.stringify({
    partition,
    offset,
    timestamp_ms: timestamp,
    key: toBase64(key),
    value: toBase64(value),
    headers: headers.map(([name, bytes]) => [name, toBase64(bytes)]),
  });
}

const fromBase64 = (text) => (text === null ? null : Buffer.from(text, "base64"));
const toBase64 = (bytes) => (bytes === null ? null : Buffer.from(bytes).toString("base64"));

// The one that is said, else that of the key, as in Kafka.
export function partitionOf({ partition, key }, partitions) {
  if (partition !== null && partition < partitions) return partition;
  if (partition === null && key !== null) return (murmur2(key) & 0x7fffffff) % partitions;
  throw new Error(`a record with neither a key nor a partition below ${partitions}`);
}

// Austin Appleby's MurmurHash2 of 32 bits, with Kafka's seed, as an unsigned number.
export function murmur2(data) {
  const multiplier = 0x5bd1e995;
  const whole = data.length & ~3;
  let hash = 0x9747b28c ^ data.length;
  for (let at = 0; at < whole; at += 4) {
    let word = Math.imul(data.readInt32LE(at), multiplier);
    word = Math.imul(word ^ (word >>> 24), multiplier);
    hash = Math.imul(hash, multiplier) ^ word;
  }
  if (whole < data.length) {
    hash = Math.imul(hash ^ data.readUIntLE(whole, data.length - whole), multiplier);
  }
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return (hash ^ (hash >>> 15)) >>> 0;
}
