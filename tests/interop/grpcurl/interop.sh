#!/usr/bin/env bash
# Streamkeep by hand: one batch in, the log out, with grpcurl, the protos and nothing else.
#
#   interop.sh create  COORDINATOR TOPIC    a topic of one partition
#   interop.sh produce COORDINATOR TOPIC    the batch of the test vector in records.proto, sent twice
#   interop.sh consume COORDINATOR TOPIC    what the fetch stream says, as JSON
#
# GRPCURL is the program to use. The answers' JSON is read with sed: so little of it is needed.
set -euo pipefail

verb=$1 coordinator=$2 topic=$3
protos=$(cd "$(dirname "$0")/../../../protos" && pwd)
service=streamkeep.v1

ask() { # ADDRESS METHOD; the request, or several, on standard input
    "${GRPCURL:-grpcurl}" -plaintext -emit-defaults -max-time 10 -import-path "$protos" \
        -proto streamkeep_proto/v1/broker.proto -proto streamkeep_proto/v1/coordinator.proto \
        -d @ "$1" "$service.$2"
}

field() { # NAME; the first of that name in the JSON on standard input
    sed -nE "s/^ *\"$1\": \"?([^\",]*)\"?,?\$/\1/p" | head -n 1
}

create() {
    local request="{\"topics\": [{\"name\": \"$topic\", \"partitions\": 1}]}" answer active
    answer=$(ask "$coordinator" AdminService/CreateTopics <<<"$request")
    active=$(field activeAddress <<<"$answer")
    if [ -n "$active" ]; then # NOT_ACTIVE, and it knows who is
        answer=$(ask "$active" AdminService/CreateTopics <<<"$request")
    fi
    grep -q '"metadataIndex": "[1-9]' <<<"$answer" || { echo "$answer" >&2; return 1; }
}

find_leader() { # sets topic_id and leader, which is an address
    local metadata broker
    metadata=$(ask "$coordinator" MetadataService/GetMetadata <<<"{\"names\": [\"$topic\"]}")
    topic_id=$(field topicId <<<"$metadata")
    broker=$(field leader <<<"$metadata")
    leader=$(sed -n "/\"brokerId\": $broker,/,/\"address\"/p" <<<"$metadata" | field address)
}

produce() {
    local records producer request answer offsets
    records=$(printf '\x0a\x01k\x0a\x00\x12\x05hello\x12\x05world\x1a\x02\x00\x0a\x2a\x01\x01' | base64)
    producer=$(ask "$leader" BrokerService/InitProducer <<<'{}' | field producerId)
    echo "a producer would be given the id $producer; the vector's checksum is over id 1" >&2
    request="{\"batches\": [{\"topicId\": \"$topic_id\", \"partition\": 0, \"batch\": {
        \"attributes\": 0, \"lastOffsetDelta\": 1, \"recordCount\": 2,
        \"baseTimestampMs\": \"1357000000000\", \"maxTimestampMs\": \"1357000000005\",
        \"producerId\": \"1\", \"producerEpoch\": 0, \"baseSequence\": 0,
        \"recordsCrc32c\": $((0xFDA70928)), \"records\": \"$records\"}}]}"
    for _ in $(seq 50); do # a broker may not have heard of a new topic yet
        answer=$(ask "$leader" BrokerService/Produce <<<"$request $request")
        grep -q UNKNOWN_TOPIC <<<"$answer" || break
        sleep 0.1
    done
    offsets=$(sed -nE 's/^ *"baseOffset": "([^"]*)".*/\1/p' <<<"$answer" | tr '\n' ' ')
    # The second is a duplicate of the first, and so its answer is the same.
    [ "$offsets" = "0 0 " ] || { echo "$answer" >&2; return 1; }
}

consume() {
    local start="{\"subscription\": 1, \"topicId\": \"$topic_id\", \"partition\": 0, \"creditBytes\": 1048576}"
    ask "$leader" BrokerService/Fetch <<<"{\"start\": [$start]}"
}

[ "$verb" = create ] || find_leader
"$verb"
