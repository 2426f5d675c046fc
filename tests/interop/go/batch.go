package main

// Batches: from records to the bytes that are produced, and back, with both checksums. What is computed
// here is said in records.proto; nothing else was looked at.

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/proto"
	pb "streamkeep.example/interop/streamkeepv1"
)

const (
	headerBytes   = 100 // of a frame, before its records
	layoutVersion = 1
	layoutMask    = 0xff
	appendTime    = 1 << 8 // of leader_flags: append_time_ms is every record's timestamp
	codecMask     = 0b111  // of attributes
	controlBatch  = 1 << 5 // of attributes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordsCRC is over the values of fields 6 to 13, then the records as they are sent.
func recordsCRC(b *pb.RecordBatch) uint32 {
	values := producedValues(make([]byte, 0, 44), b)
	return crc32.Update(crc32.Checksum(values, castagnoli), castagnoli, b.Records)
}

// headerCRC is over the values of fields 1 to 4, 6 to 13 and 14.
func headerCRC(b *pb.RecordBatch) uint32 {
	le := binary.LittleEndian
	values := le.AppendUint64(make([]byte, 0, 72), uint64(b.BaseOffset))
	values = le.AppendUint32(values, uint32(b.LeaderEpoch))
	values = le.AppendUint32(values, b.LeaderFlags)
	values = le.AppendUint64(values, uint64(b.AppendTimeMs))
	values = producedValues(values, b)
	values = le.AppendUint32(values, b.RecordsCrc32C)
	return crc32.Checksum(values, castagnoli)
}

func producedValues(to []byte, b *pb.RecordBatch) []byte {
	le := binary.LittleEndian
	for _, value := range []uint32{b.Attributes, b.LastOffsetDelta, b.RecordCount} {
		to = le.AppendUint32(to, value)
	}
	for _, value := range []int64{b.BaseTimestampMs, b.MaxTimestampMs, b.ProducerId} {
		to = le.AppendUint64(to, uint64(value))
	}
	to = le.AppendUint32(to, uint32(b.ProducerEpoch))
	return le.AppendUint32(to, uint32(b.BaseSequence))
}

// encodeBatch makes a batch that only its producer id, sequence and checksum are missing from.
func encodeBatch(records []record, codec uint32) (*pb.RecordBatch, error) {
	columns := &pb.Records{}
	batch := &pb.RecordBatch{
		Attributes:      codec,
		LastOffsetDelta: uint32(len(records) - 1),
		RecordCount:     uint32(len(records)),
		BaseTimestampMs: records[0].TimestampMs,
		MaxTimestampMs:  records[0].TimestampMs,
	}
	for index, r := range records {
		columns.Keys = append(columns.Keys, r.Key)
		columns.Values = append(columns.Values, r.Value)
		columns.TimestampDeltas = append(columns.TimestampDeltas, r.TimestampMs-batch.BaseTimestampMs)
		batch.MaxTimestampMs = max(batch.MaxTimestampMs, r.TimestampMs)
		if r.Key == nil {
			columns.NullKeys = append(columns.NullKeys, uint32(index))
		}
		if r.Value == nil {
			columns.NullValues = append(columns.NullValues, uint32(index))
		}
		if len(r.Headers) > 0 {
			entry := &pb.RecordHeaders{Index: uint32(index)}
			for _, header := range r.Headers {
				entry.Names = append(entry.Names, header.Name)
				entry.Values = append(entry.Values, header.Value)
			}
			columns.Headers = append(columns.Headers, entry)
		}
	}
	plain, err := proto.Marshal(columns)
	if err != nil {
		return nil, err
	}
	batch.Records, err = compress(codec, plain)
	return batch, err
}

// seal gives the batch to a producer.
func seal(b *pb.RecordBatch, producerID int64, producerEpoch, sequence int32) {
	b.ProducerId, b.ProducerEpoch, b.BaseSequence = producerID, producerEpoch, sequence
	b.RecordsCrc32C = recordsCRC(b)
}

// decodeBatch checks a fetched batch and gives its records. Header first: nothing of it is believed before.
func decodeBatch(partition int, b *pb.RecordBatch) ([]record, error) {
	if headerCRC(b) != b.HeaderCrc32C {
		return nil, fmt.Errorf("the header of the batch at offset %d does not match its checksum", b.BaseOffset)
	}
	if layout := b.LeaderFlags & layoutMask; layout != layoutVersion {
		return nil, fmt.Errorf("the batch at offset %d has layout version %d", b.BaseOffset, layout)
	}
	if recordsCRC(b) != b.RecordsCrc32C {
		return nil, fmt.Errorf("the records at offset %d do not match their checksum", b.BaseOffset)
	}
	if b.RecordCount == 0 || b.Attributes&controlBatch != 0 {
		return nil, nil
	}
	plain, err := decompress(b.Attributes&codecMask, b.Records)
	if err != nil {
		return nil, err
	}
	columns := &pb.Records{}
	if err := proto.Unmarshal(plain, columns); err != nil {
		return nil, err
	}
	return fromColumns(partition, b, columns)
}

func fromColumns(partition int, b *pb.RecordBatch, columns *pb.Records) ([]record, error) {
	count := int(b.RecordCount)
	fits := func(length int) bool { return length == 0 || length == count }
	if len(columns.Values) != count || !fits(len(columns.Keys)) || !fits(len(columns.TimestampDeltas)) ||
		!fits(len(columns.OffsetDeltas)) {
		return nil, fmt.Errorf("the columns of the batch at offset %d differ in length", b.BaseOffset)
	}
	records := make([]record, count)
	for index := range records {
		r := &records[index]
		r.Partition, r.Offset, r.TimestampMs = &partition, b.BaseOffset+int64(index), b.BaseTimestampMs
		r.Value = columns.Values[index]
		if len(columns.Keys) > 0 {
			r.Key = columns.Keys[index]
		}
		if len(columns.OffsetDeltas) > 0 {
			r.Offset = b.BaseOffset + int64(columns.OffsetDeltas[index])
		}
		if len(columns.TimestampDeltas) > 0 {
			r.TimestampMs += columns.TimestampDeltas[index]
		}
		if b.LeaderFlags&appendTime != 0 {
			r.TimestampMs = b.AppendTimeMs
		}
	}
	return records, addNullsAndHeaders(records, columns)
}

func addNullsAndHeaders(records []record, columns *pb.Records) error {
	for _, index := range columns.NullKeys {
		if int(index) >= len(records) {
			return fmt.Errorf("null key %d of %d records", index, len(records))
		}
		records[index].Key = nil
	}
	for _, index := range columns.NullValues {
		if int(index) >= len(records) {
			return fmt.Errorf("null value %d of %d records", index, len(records))
		}
		records[index].Value = nil
	}
	for _, entry := range columns.Headers {
		if int(entry.Index) >= len(records) || len(entry.Names) != len(entry.Values) {
			return fmt.Errorf("the headers of record %d are not as they should be", entry.Index)
		}
		for place, name := range entry.Names {
			records[entry.Index].Headers = append(records[entry.Index].Headers, header{name, entry.Values[place]})
		}
	}
	return nil
}
