package main

// A record as the harness writes and reads it: one JSON object a line, bytes in base64.

import (
	"encoding/json"
	"fmt"
)

type record struct {
	Partition   *int     `json:"partition"` // absent in what is to be produced: the key decides
	Offset      int64    `json:"offset"`
	TimestampMs int64    `json:"timestamp_ms"`
	Key         []byte   `json:"key"`   // null is no key
	Value       []byte   `json:"value"` // null is a tombstone
	Headers     []header `json:"headers"`
}

type header struct {
	Name  string
	Value []byte
}

// MarshalJSON writes a pair: ["name", "base64"].
func (h header) MarshalJSON() ([]byte, error) { return json.Marshal([]any{h.Name, h.Value}) }

// UnmarshalJSON reads a pair.
func (h *header) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&h.Name, &h.Value})
}

// partitionOf is the one that is said, else that of the key, as in Kafka.
func partitionOf(r record, partitions int) (int, error) {
	switch {
	case r.Partition != nil && *r.Partition < partitions:
		return *r.Partition, nil
	case r.Partition == nil && r.Key != nil:
		return int(murmur2(r.Key)&0x7fffffff) % partitions, nil
	}
	return 0, fmt.Errorf("a record with neither a key nor a partition below %d", partitions)
}

// murmur2 is Austin Appleby's MurmurHash2 of 32 bits, with Kafka's seed.
func murmur2(data []byte) uint32 {
	const multiplier = 0x5bd1e995
	hash := 0x9747b28c ^ uint32(len(data))
	for len(data) >= 4 {
		word := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		word *= multiplier
		word ^= word >> 24
		hash = hash*multiplier ^ word*multiplier
		data = data[4:]
	}
	for place := len(data) - 1; place >= 0; place-- {
		hash ^= uint32(data[place]) << (8 * place)
		if place == 0 {
			hash *= multiplier
		}
	}
	hash = (hash ^ hash>>13) * multiplier
	return hash ^ hash>>15
}
