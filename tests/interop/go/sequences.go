package main

// The rules of an idempotent producer for one partition. Batches go out in order, at most five unanswered: so
// many a broker remembers. When it is not known what became of them (an error, a lost stream, another leader)
// the oldest goes out again alone, under the sequence that it had; the others follow once it is acknowledged.

import (
	"time"

	pb "streamkeep.example/interop/streamkeepv1"
)

const (
	maxInFlight = 5
	batchBytes  = 64 << 10
	batchCount  = 500
	maxSequence = 1<<31 - 1
)

type queue struct {
	partition    int
	open         []record // the batch that is being filled
	openBytes    int
	pending      []*pb.RecordBatch // closed, oldest first
	inFlight     int               // the first so many of them are on their way
	attempt      int               // answers to an earlier one are stale
	recovering   bool
	nextSequence int64
	notBefore    time.Time
	wait         time.Duration
}

func (q *queue) add(r record) (full bool) {
	q.open = append(q.open, r)
	q.openBytes += len(r.Key) + len(r.Value)
	return q.openBytes >= batchBytes || len(q.open) >= batchCount
}

// close gives the open batch its sequence, for good.
func (q *queue) close(codec uint32, producerID int64, producerEpoch int32) error {
	batch, err := encodeBatch(q.open, codec)
	if err != nil {
		return err
	}
	seal(batch, producerID, producerEpoch, int32(q.nextSequence))
	q.nextSequence = (q.nextSequence + int64(len(q.open))) & maxSequence
	q.pending = append(q.pending, batch)
	q.open, q.openBytes = nil, 0
	return nil
}

// next is the batch to send now, nil if there is none.
func (q *queue) next(now time.Time) *pb.RecordBatch {
	window := maxInFlight
	if q.recovering {
		window = 1
	}
	if now.Before(q.notBefore) || q.inFlight >= min(window, len(q.pending)) {
		return nil
	}
	q.inFlight++
	return q.pending[q.inFlight-1]
}

// acknowledged: answers of one partition come in order, so it is the oldest.
func (q *queue) acknowledged() (records int) {
	records = int(q.pending[0].RecordCount)
	q.pending = q.pending[1:]
	q.inFlight--
	q.recovering, q.wait = false, 0
	return records
}

// recover: nothing is known of what is on its way. Returns how many batches that were.
func (q *queue) recover() int {
	lost := q.inFlight
	q.attempt++
	q.inFlight = 0
	q.recovering = len(q.pending) > 0
	return lost
}

// pause waits before the next attempt, longer each time.
func (q *queue) pause(now time.Time) {
	q.wait = min(500*time.Millisecond, max(20*time.Millisecond, 2*q.wait))
	q.notBefore = now.Add(q.wait)
}
