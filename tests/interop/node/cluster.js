// What a client knows of the cluster: its coordinators, and who leads each partition of one topic.

import { randomBytes } from "node:crypto";
import { AdminService, BrokerService, MetadataService, call, dial, failed, raiseIf, sleep } from "./protos.js";

export const DEADLINE_MS = 120_000;
export const BROKER_MS = 5_000;
const PATIENCE_MS = 3_000; // with one coordinator, before the next one is asked
const PACE_MS = 100; // between questions about metadata

export class Cluster {
  constructor(bootstrap, topic) {
    this.coordinators = bootstrap.split(",");
    this.topic = topic;
    this.brokers = new Map();
    this.topicId = null;
    this.places = []; // by partition: {address, epoch}; address "" = nobody leads
    this.index = 0n; // of the newest metadata seen
    this.hints = 0;
    this.onMoved = () => {};
    this.stubs = new Map();
    this.asking = false;
  }

  stub(Service, address) {
    const key = `${Service.serviceName} ${address}`;
    if (!this.stubs.has(key)) this.stubs.set(key, dial(Service, address));
    return this.stubs.get(key);
  }

  // One coordinator after the other, until one answers; an error may name whom to ask next.
  async ask(Service, method, request, check) {
    let last, next;
    for (let began = Date.now(), turn = 0; Date.now() - began < DEADLINE_MS; turn++) {
      const address = next || this.coordinators[turn % this.coordinators.length];
      try {
        const answer = await call(this.stub(Service, address), method, request, PATIENCE_MS);
        check(answer);
        return answer;
      } catch (error) {
        last = error;
        next = error.told?.active_address;
        if (!next) await sleep(50);
      }
    }
    throw last;
  }

  // Under an id of our own: made again after a lost answer it finds its own topic.
  create(partitions) {
    const topics = [{ name: this.topic, partitions, topic_id: randomBytes(16) }];
    return this.ask(AdminService, "CreateTopics", { topics }, ({ error, outcomes }) => {
      raiseIf(error);
      raiseIf(outcomes[0].error);
    });
  }

  async learn() {
    const request = { names: [this.topic] };
    const answer = await this.ask(MetadataService, "GetMetadata", request, ({ topics }) => raiseIf(topics[0].error));
    this.apply(answer);
  }

  // A partition only ever moves to a newer leader epoch.
  apply({ metadata_index, brokers, topics: [topic] }) {
    if (BigInt(metadata_index) >= this.index) {
      this.index = BigInt(metadata_index);
      this.brokers = new Map(brokers.map(({ broker_id, address }) => [broker_id, address]));
    }
    this.topicId = topic.topic_id;
    let moved = false;
    for (const { partition, leader, leader_epoch } of topic.partitions) {
      const old = (this.places[partition] ??= { address: "", epoch: 0 });
      const now = { address: this.brokers.get(leader) ?? "", epoch: leader_epoch };
      if (now.epoch < old.epoch || (now.epoch === old.epoch && now.address === old.address)) continue;
      this.places[partition] = now;
      moved = true;
    }
    if (moved) this.onMoved();
  }

  // A broker's word for who leads. False if that is no news.
  hint(partition, leader) {
    if (!leader?.address || leader.leader_epoch <= this.places[partition].epoch) return false;
    this.places[partition] = { address: leader.address, epoch: leader.leader_epoch };
    this.hints++;
    this.onMoved();
    return true;
  }

  // Ask the coordinators again, in the background; to be called at every sign of trouble.
  refresh() {
    if (this.asking) return;
    this.asking = true;
    const again = () => setTimeout(() => (this.asking = false), PACE_MS);
    this.learn().then(again, again);
  }

  // Believe that other brokers lead, without saying in which epoch: we will be told.
  misroute() {
    const addresses = [...this.brokers.values()];
    this.places = this.places.map(({ address }) => ({ address: addresses.find((other) => other !== address), epoch: 0 }));
  }

  // A producer id, from any broker that answers.
  async initProducer() {
    let last;
    for (const began = Date.now(); Date.now() - began < DEADLINE_MS; await sleep(50)) {
      for (const address of this.brokers.values()) {
        try {
          const answer = await call(this.stub(BrokerService, address), "InitProducer", {}, BROKER_MS);
          raiseIf(answer.error);
          return answer;
        } catch (error) {
          last = error;
        }
      }
    }
    throw last;
  }

  // The log start of a partition, from its leader, whoever that is by now.
  async earliest(partition) {
    let last;
    for (const began = Date.now(); Date.now() - began < DEADLINE_MS; await sleep(50)) {
      const partitions = [{ topic_id: this.topicId, partition, position: "EARLIEST" }];
      try {
        const stub = this.stub(BrokerService, this.places[partition].address);
        const [{ error, offset }] = (await call(stub, "ListOffsets", { partitions }, BROKER_MS)).offsets;
        if (!failed(error)) return Number(offset);
        if (this.hint(partition, error.leader)) continue;
        raiseIf(error);
      } catch (error) {
        last = error;
        if (error.told && !RETRIABLE.has(error.told.code)) throw error;
        await this.learn();
      }
    }
    throw last;
  }
}

// Errors of one partition after which the same request may succeed, there or at another broker.
export const RETRIABLE = new Set([
  "NOT_LEADER",
  "FENCED_LEADER_EPOCH",
  "UNKNOWN_LEADER_EPOCH",
  "LEADER_NOT_AVAILABLE",
  "REPLICA_NOT_AVAILABLE",
  "SHUTTING_DOWN",
  "TIMED_OUT",
  "UNAVAILABLE",
  "UNKNOWN_TOPIC", // the broker may not have heard of it yet
  "UNKNOWN_PARTITION",
  "NOT_ENOUGH_REPLICAS",
  "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  "CORRUPT_BATCH",
  "OFFSET_NOT_AVAILABLE",
  "DISK_FULL",
  "STORAGE_FAILED",
  "DISK_STALLED",
]);
