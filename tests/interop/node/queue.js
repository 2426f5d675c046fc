// The rules of an idempotent producer for one partition. Batches go out in order, at most five unanswered: so
// many a broker remembers. When it is not known what became of them (an error, a lost stream, another leader)
// the oldest goes out again alone, under the sequence that it had; the others follow once it is acknowledged.

import { encodeBatch } from "./batch.js";

const MAX_IN_FLIGHT = 5;
const BATCH_BYTES = 64 << 10;
const BATCH_COUNT = 500;
const MAX_SEQUENCE = 0x7fffffff;

export class Queue {
  constructor(partition) {
    this.partition = partition;
    this.address = "";
    this.openRecords = []; // of the batch that is being filled
    this.openBytes = 0;
    this.pending = []; // closed batches, oldest first
    this.inFlight = 0; // the first so many of them are on their way
    this.attempt = 0; // answers to an earlier one are stale
    this.recovering = false;
    this.nextSequence = 0;
    this.notBefore = 0;
    this.wait = 0;
  }

  // True when the batch is full.
  add(record) {
    this.openRecords.push(record);
    this.openBytes += (record.key?.length ?? 0) + (record.value?.length ?? 0);
    return this.openBytes >= BATCH_BYTES || this.openRecords.length >= BATCH_COUNT;
  }

  // Gives the open batch its sequence, for good.
  close(codec, { producer_id, producer_epoch }) {
    const records = this.openRecords;
    this.pending.push(encodeBatch(records, codec, producer_id, producer_epoch, this.nextSequence));
    this.nextSequence = (this.nextSequence + records.length) % (MAX_SEQUENCE + 1);
    this.openRecords = [];
    this.openBytes = 0;
  }

  get buffered() {
    return this.pending.length + (this.openRecords.length ? 1 : 0);
  }

  // The batch to send now, undefined if there is none.
  next() {
    const window = this.recovering ? 1 : MAX_IN_FLIGHT;
    if (Date.now() < this.notBefore || this.inFlight >= Math.min(window, this.pending.length)) return undefined;
    return this.pending[this.inFlight++];
  }

  // Answers of one partition come in order, so it is the oldest. Returns its records.
  acknowledged() {
    this.inFlight--;
    this.recovering = false;
    this.wait = 0;
    return this.pending.shift().record_count;
  }

  // Nothing is known of what is on its way. Returns how many batches that were.
  recover() {
    const lost = this.inFlight;
    this.attempt++;
    this.inFlight = 0;
    this.recovering = this.pending.length > 0;
    return lost;
  }

  // Wait before the next attempt, longer each time.
  pause() {
    this.wait = Math.min(500, Math.max(20, 2 * this.wait));
    this.notBefore = Date.now() + this.wait;
  }
}
