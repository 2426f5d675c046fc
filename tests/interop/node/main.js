// A Streamkeep client in JavaScript, made from the protos with stock tools: it produces what it reads from
// standard input, or writes to standard output what it consumes. docs/clients.md says what it does and why.

import { parseArgs } from "node:util";
import { Cluster } from "./cluster.js";
import { consume } from "./consume.js";
import { produce } from "./produce.js";

const [verb, ...rest] = process.argv.slice(2);
const { values } = parseArgs({
  args: rest,
  options: {
    bootstrap: { type: "string" }, // coordinators, host:port with commas
    topic: { type: "string" },
    partitions: { type: "string", default: "1" }, // create: how many
    codecs: { type: "string", default: "none" }, // produce: one batch after the other takes the next of these
    count: { type: "string", default: "0" }, // consume: end after so many records
    misroute: { type: "boolean", default: false }, // believe at first that other brokers lead
  },
});

try {
  const cluster = new Cluster(values.bootstrap, values.topic);
  if (verb === "create") {
    await cluster.create(Number(values.partitions));
  } else {
    await cluster.learn();
    if (values.misroute) cluster.misroute();
    const task = { produce, consume }[verb];
    if (!task) throw new Error("usage: main.js create|produce|consume --bootstrap HOST:PORT,... --topic NAME");
    await task(cluster, { ...values, count: Number(values.count) });
  }
  process.stdout.write("", () => process.exit(0)); // connections are kept alive, so nothing else ends it
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
