// Consuming: one fetch stream to each broker that leads something, with credit, from the log start on, until
// so many records were written to standard output.

import { HEADER_BYTES, decodeBatch } from "./batch.js";
import { RETRIABLE } from "./cluster.js";
import { Link } from "./link.js";
import { failed, raiseIf } from "./protos.js";
import { toLine } from "./record.js";

const TICK_MS = 10;
const WINDOW_BYTES = 128 << 10; // of frames on their way or not written out, for each partition
const NOT_SUBSCRIBED = 0;

export async function consume(cluster, { count, misroute }) {
  const starts = [];
  for (const partition of cluster.places.keys()) starts.push(await cluster.earliest(partition));
  if (misroute) cluster.misroute();
  await new Consumer(cluster, starts, count).run();
}

class Consumer {
  constructor(cluster, starts, count) {
    this.cluster = cluster;
    this.left = count;
    this.readers = starts.map((offset, partition) => ({
      partition,
      offset, // the next one wanted
      lastEpoch: 0, // of the record before it
      address: "",
      subscription: NOT_SUBSCRIBED,
      taken: 0, // bytes since credit was given
      failures: 0,
    }));
    this.links = new Map();
    this.bySubscription = new Map();
    this.lastSubscription = NOT_SUBSCRIBED;
    cluster.onMoved = () => this.follow();
  }

  async run() {
    const ticking = setInterval(() => this.onTick(), TICK_MS);
    await new Promise((resolve, reject) => {
      Object.assign(this, { resolve, reject });
      this.follow();
    });
    clearInterval(ticking);
    for (const link of this.links.values()) link.close();
    process.stdout.write(`${JSON.stringify({ hints: this.cluster.hints })}\n`);
  }

  // Reads each partition from who leads it now.
  follow() {
    for (const reader of this.readers) {
      const { address } = this.cluster.places[reader.partition];
      if (address === reader.address) continue;
      this.stop(reader);
      reader.address = address;
      if (address && !this.links.has(address)) this.connect(address);
      this.start(reader);
    }
  }

  connect(address) {
    const mine = () => this.readers.filter((reader) => reader.address === address);
    const link = new Link(address, "Fetch", {
      hear: (answer) => this.guarded(() => this.hear(link, answer)),
      opened: () => mine().forEach((reader) => this.start(reader)),
      ended: () => {
        for (const reader of mine()) this.forget(reader); // every subscription ended with the stream
        this.cluster.refresh();
      },
    });
    this.links.set(address, link);
    link.run();
  }

  // Subscribes from where the reader stands, under a number that was never used.
  start(reader) {
    const link = this.links.get(reader.address);
    if (!link?.open || reader.subscription !== NOT_SUBSCRIBED) return;
    reader.subscription = ++this.lastSubscription;
    reader.taken = 0;
    this.bySubscription.set(reader.subscription, reader);
    const { partition, subscription, offset, lastEpoch: last_read_epoch } = reader;
    const leader_epoch = this.cluster.places[partition].epoch;
    const topic_id = this.cluster.topicId;
    const place = { topic_id, partition, offset, leader_epoch, last_read_epoch };
    link.send({ start: [{ subscription, ...place, credit_bytes: WINDOW_BYTES }] });
  }

  stop(reader) {
    const link = this.links.get(reader.address);
    if (link?.open && reader.subscription !== NOT_SUBSCRIBED) link.send({ stop: [reader.subscription] });
    this.forget(reader);
  }

  forget(reader) {
    this.bySubscription.delete(reader.subscription);
    reader.subscription = NOT_SUBSCRIBED;
  }

  hear(link, { partitions, closing, leadership_unconfirmed }) {
    for (const { subscription, error, data } of partitions) {
      const reader = this.bySubscription.get(subscription);
      if (!reader) continue; // stopped while this was on its way
      if (failed(error)) {
        this.refused(reader, error);
        continue;
      }
      reader.failures = 0;
      for (const batch of data?.batches ?? []) this.take(reader, batch);
      if (link.open && reader.taken * 2 >= WINDOW_BYTES) {
        link.send({ credit: [{ subscription, bytes: reader.taken }] }); // not for every batch: a message each
        reader.taken = 0;
      }
    }
    if (closing || leadership_unconfirmed) this.cluster.refresh();
    if (this.left === 0) this.resolve();
  }

  // Writes out the batch's records. One may begin below the offset that was asked for.
  take(reader, batch) {
    for (const record of decodeBatch(reader.partition, batch)) {
      if (record.offset < reader.offset || this.left === 0) continue;
      process.stdout.write(`${toLine(record)}\n`);
      this.left--;
    }
    reader.taken += HEADER_BYTES + batch.records.length;
    reader.offset = Math.max(reader.offset, Number(batch.base_offset) + batch.last_offset_delta + 1);
    reader.lastEpoch = batch.leader_epoch;
  }

  // The subscription is over. OFFSET_OUT_OF_RANGE is for a person to decide; here it is the end.
  refused(reader, error) {
    this.forget(reader);
    if (!RETRIABLE.has(error.code)) raiseIf(error);
    if (!this.cluster.hint(reader.partition, error.leader)) this.cluster.refresh();
    const wait = Math.min(500, 20 * 2 ** Math.min(++reader.failures, 5));
    setTimeout(() => this.start(reader), wait);
  }

  onTick() {
    if ([...this.links.values()].some((link) => link.silent)) this.cluster.refresh();
    if (this.readers.some(({ address }) => address === "")) this.cluster.refresh();
  }

  guarded(action) {
    try {
      action();
    } catch (error) {
      this.reject(error);
    }
  }
}
