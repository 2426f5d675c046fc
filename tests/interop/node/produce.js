// Producing: records from standard input, one produce stream to each broker that leads something, and a line
// on standard output for each acknowledgement.

import { createInterface } from "node:readline";
import { DEADLINE_MS, RETRIABLE } from "./cluster.js";
import { codecNamed } from "./codec.js";
import { Link } from "./link.js";
import { failed } from "./protos.js";
import { Queue } from "./queue.js";
import { fromLine, partitionOf } from "./record.js";

const TICK_MS = 10;
const MAX_BUFFERED = 64; // batches; beyond, standard input waits

export async function produce(cluster, { codecs }) {
  const producer = new Producer(cluster, await cluster.initProducer(), codecs.split(",").map(codecNamed));
  await producer.run(createInterface({ input: process.stdin, crlfDelay: Infinity }));
}

class Producer {
  constructor(cluster, identity, codecs) {
    Object.assign(this, { cluster, identity, codecs });
    this.queues = cluster.places.map((_, partition) => new Queue(partition));
    this.links = new Map();
    this.asked = new Map(); // "request partition" -> {link, attempt}
    this.lastRequest = 0;
    this.closed = 0; // batches so far
    this.report = { acked: 0, resent: 0, duplicates: 0, hints: 0 };
    this.lastAck = Date.now();
    cluster.onMoved = () => this.follow();
  }

  get buffered() {
    return this.queues.reduce((sum, queue) => sum + queue.buffered, 0);
  }

  // Ends when all that was read is acknowledged.
  async run(input) {
    this.follow();
    const ticking = setInterval(() => this.onTick(), TICK_MS);
    for await (const line of input) {
      this.add(fromLine(line));
      if (this.failure) throw this.failure;
      while (this.buffered >= MAX_BUFFERED) await this.settled();
    }
    while (this.buffered > 0) await this.settled();
    clearInterval(ticking);
    for (const link of this.links.values()) link.close();
    tell({ ...this.report, hints: this.cluster.hints });
  }

  // Until the next batch is acknowledged, or it is clear that none will be.
  settled() {
    if (this.failure) throw this.failure;
    return new Promise((resolve, reject) => (this.waiting = { resolve, reject }));
  }

  add(record) {
    const queue = this.queues[partitionOf(record, this.queues.length)];
    if (queue.add(record)) this.close(queue);
  }

  close(queue) {
    queue.close(this.codecs[this.closed++ % this.codecs.length], this.identity);
    this.pump(this.links.get(queue.address));
  }

  // Closes what has waited long enough, and looks for silence.
  onTick() {
    for (const queue of this.queues) if (queue.openRecords.length) this.close(queue);
    const waitedFor = new Set([...this.asked.values()].map(({ link }) => link));
    for (const link of this.links.values()) {
      if (link.silent && waitedFor.has(link)) this.cluster.refresh();
      this.pump(link);
    }
    if (this.queues.some(({ address }) => address === "")) this.cluster.refresh();
    if (this.buffered === 0) this.lastAck = Date.now();
    if (Date.now() - this.lastAck > DEADLINE_MS) this.fail(`nothing was acknowledged for ${DEADLINE_MS} ms`);
  }

  // Sends each queue to who leads its partition now.
  follow() {
    for (const queue of this.queues) {
      const { address } = this.cluster.places[queue.partition];
      if (address === queue.address) continue;
      this.report.resent += queue.recover();
      queue.address = address;
      queue.notBefore = 0;
      if (address && !this.links.has(address)) this.connect(address);
      this.pump(this.links.get(address));
    }
  }

  connect(address) {
    const link = new Link(address, "Produce", {
      hear: (answer) => this.hear(link, answer),
      opened: () => this.pump(link),
      ended: () => this.lost(link),
    });
    this.links.set(address, link);
    link.run();
  }

  // Sends what may be sent: one batch a partition in each request.
  pump(link) {
    while (link?.open) {
      const request_id = this.lastRequest + 1;
      const batches = [];
      for (const queue of this.queues.filter(({ address }) => address === link.address)) {
        const batch = queue.next();
        if (!batch) continue;
        const { partition, attempt } = queue;
        const leader_epoch = this.cluster.places[partition].epoch;
        batches.push({ topic_id: this.cluster.topicId, partition, leader_epoch, batch });
        this.asked.set(`${request_id} ${partition}`, { link, attempt });
      }
      if (!batches.length) return;
      this.lastRequest = request_id;
      link.send({ request_id, batches });
    }
  }

  hear(link, { results, closing, leadership_unconfirmed }) {
    for (const result of results) {
      const key = `${result.request_id} ${result.partition}`;
      const question = this.asked.get(key);
      this.asked.delete(key);
      const queue = this.queues[result.partition];
      if (question?.attempt === queue.attempt) this.settle(queue, result);
    }
    if (closing || leadership_unconfirmed) this.cluster.refresh();
    this.pump(link);
  }

  settle(queue, { error }) {
    if (!failed(error) || error.code === "DUPLICATE_SEQUENCE") {
      if (failed(error)) this.report.duplicates++;
      this.report.acked += queue.acknowledged();
      this.lastAck = Date.now();
      tell({ acked: this.report.acked });
      this.waiting?.resolve();
    } else if (RETRIABLE.has(error.code)) {
      this.report.resent += queue.recover();
      queue.pause();
      if (!this.cluster.hint(queue.partition, error.leader)) this.cluster.refresh();
    } else {
      // OUT_OF_ORDER_SEQUENCE too: the oldest comes next, and nothing before it was given up.
      this.fail(`partition ${queue.partition}: ${error.code}: ${error.message}`);
    }
  }

  // The stream is gone, and with it all answers.
  lost(link) {
    for (const [key, question] of this.asked) if (question.link === link) this.asked.delete(key);
    for (const queue of this.queues) {
      if (queue.address === link.address) this.report.resent += queue.recover();
    }
    this.cluster.refresh();
  }

  fail(complaint) {
    this.failure ??= new Error(complaint);
    this.waiting?.reject(this.failure);
  }
}

const tell = (item) => process.stdout.write(`${JSON.stringify(item)}\n`);
