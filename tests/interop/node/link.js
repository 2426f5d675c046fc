// One long stream to one broker, opened again for as long as its owner wants it.

import { BrokerService, dial } from "./protos.js";

const RECONNECT_MS = 50;
export const SILENCE_MS = 1_000; // after so long without a message a broker may not lead any more

export class Link {
  // `method` is Produce or Fetch. `hear` gets each answer, `opened` is called when something may be sent,
  // `ended` when nothing will be answered that was not.
  constructor(address, method, { hear, opened, ended }) {
    Object.assign(this, { address, method, hear, opened, ended });
    this.stub = dial(BrokerService, address);
    this.closed = false;
  }

  run() {
    if (this.closed) return;
    this.heard = Date.now();
    this.leaving = false;
    const stream = (this.stream = this.stub[this.method]());
    let over = false;
    const end = () => {
      if (over) return;
      over = true;
      this.stream = null;
      stream.cancel();
      this.ended();
      setTimeout(() => this.run(), RECONNECT_MS);
    };
    stream.on("data", (answer) => {
      this.heard = Date.now();
      if (answer.closing) this.leaving = true; // what was accepted is still answered, more is not
      if (!over) this.hear(answer);
    });
    stream.on("error", end);
    stream.on("end", end);
    this.opened();
  }

  // Something may be sent.
  get open() {
    return Boolean(this.stream) && !this.leaving;
  }

  get silent() {
    return this.open && Date.now() - this.heard > SILENCE_MS;
  }

  // What is unanswered is bounded, so the stream's own buffer is.
  send(message) {
    this.stream.write(message);
  }

  close() {
    this.closed = true;
    this.stream?.cancel();
    this.stub.close();
  }
}
