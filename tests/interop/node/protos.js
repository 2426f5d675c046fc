// The protos as stock tools load them: proto-loader for messages, grpc-js for calls.

import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const folder = fileURLToPath(new URL("../../../protos", import.meta.url));
const files = ["records", "broker", "coordinator"].map((name) => `streamkeep_proto/v1/${name}.proto`);
const definition = loadSync(files, {
  includeDirs: [folder],
  keepCase: true,
  defaults: true,
  longs: String,
  enums: String,
});
const { BrokerService, MetadataService, AdminService } = grpc.loadPackageDefinition(definition).streamkeep.v1;

export { BrokerService, MetadataService, AdminService };
export const Records = definition["streamkeep.v1.Records"];

// Of every connection: produce, fetch and everything else have one each.
const OPTIONS = {
  "grpc.max_receive_message_length": 16 << 20,
  "grpc.max_send_message_length": 16 << 20,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 200,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
};

export const dial = (Service, address) => new Service(address, grpc.credentials.createInsecure(), OPTIONS);

// One unary call, as a promise.
export function call(stub, method, request, timeoutMs) {
  return new Promise((resolve, reject) => {
    const done = (error, answer) => (error ? reject(error) : resolve(answer));
    stub[method](request, { deadline: Date.now() + timeoutMs }, done);
  });
}

// An error inside an answer; absent is success.
export const failed = (error) => error !== null && error.code !== "NONE";

export function raiseIf(error) {
  if (failed(error)) throw Object.assign(new Error(`${error.code}: ${error.message}`), { told: error });
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
