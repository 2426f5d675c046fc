package main

// Producing: records from standard input, one produce stream to each broker that leads something, and a line
// on standard output for each acknowledgement.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"google.golang.org/grpc"
	pb "streamkeep.example/interop/streamkeepv1"
)

const (
	tick        = 10 * time.Millisecond
	maxBuffered = 64 // batches; beyond, standard input waits
)

type produceLink = link[pb.ProduceRequest, pb.ProduceResponse]

// question is what an answer is held against.
type question struct {
	link      *produceLink
	requestID uint64
	partition uint32
}

// Report is told at the end: what happened beside the plain way.
type report struct {
	Acked      int `json:"acked"`
	Resent     int `json:"resent"`     // batches sent again
	Duplicates int `json:"duplicates"` // of them, said to be stored before
	Hints      int `json:"hints"`      // leaders that brokers named
}

type producer struct {
	*upkeep
	producerID    int64
	producerEpoch int32
	queues        []*queue
	links         map[string]*produceLink
	led           []string // the address each queue's batches go to
	asked         map[question]int
	lastRequest   uint64
	codecs        []uint32
	closed        int // batches so far
	report        report
	lines         lines
	lastAck       time.Time
	failure       error
}

func produce(o options) error {
	codecs, err := codecNumbers(o.codecs)
	if err != nil {
		return err
	}
	c, err := known(o)
	if err != nil {
		return err
	}
	p := &producer{links: map[string]*produceLink{}, asked: map[question]int{}, codecs: codecs, lines: newLines()}
	p.upkeep = &upkeep{cluster: c, topic: o.topic, loop: make(loop, 1024), moved: p.follow}
	if err := p.introduce(); err != nil {
		return err
	}
	for partition := range c.places {
		p.queues = append(p.queues, &queue{partition: partition})
		p.led = append(p.led, "")
	}
	p.follow()
	if err := p.run(readRecords()); err != nil {
		return err
	}
	p.lines.write(p.report)
	return p.lines.out.Flush()
}

// introduce gets a producer id from any broker that answers.
func (p *producer) introduce() error {
	var last error
	for began := time.Now(); time.Since(began) < deadline; time.Sleep(reconnect) {
		for _, address := range p.cluster.brokers {
			conn, err := p.cluster.conn(address)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), brokerPatience)
			answer, err := pb.NewBrokerServiceClient(conn).InitProducer(ctx, &pb.InitProducerRequest{})
			cancel()
			if err == nil {
				err = asError(answer.Error)
			}
			if err == nil {
				p.producerID, p.producerEpoch = answer.ProducerId, answer.ProducerEpoch
				return nil
			}
			last = err
		}
	}
	return last
}

func readRecords() <-chan record {
	records := make(chan record)
	go func() {
		decoder := json.NewDecoder(os.Stdin)
		for {
			var r record
			if err := decoder.Decode(&r); errors.Is(err, io.EOF) {
				close(records)
				return
			} else if err != nil {
				fail(err)
			}
			records <- r
		}
	}()
	return records
}

// run ends when all that was read is acknowledged.
func (p *producer) run(input <-chan record) error {
	ticker := time.NewTicker(tick)
	p.lastAck = time.Now()
	ended := false
	for !ended || p.buffered() > 0 {
		source := input
		if ended || p.buffered() >= maxBuffered {
			source = nil
		}
		select {
		case event := <-p.loop:
			event()
		case r, more := <-source:
			ended = !more
			if more {
				p.add(r)
			}
		case <-ticker.C:
			p.onTick()
		}
		if p.failure != nil {
			return p.failure
		}
	}
	return nil
}

func (p *producer) buffered() (batches int) {
	for _, q := range p.queues {
		batches += len(q.pending)
		if len(q.open) > 0 {
			batches++
		}
	}
	return batches
}

func (p *producer) add(r record) {
	partition, err := partitionOf(r, len(p.queues))
	if err != nil {
		p.failure = err
		return
	}
	if q := p.queues[partition]; q.add(r) {
		p.close(q)
	}
}

func (p *producer) close(q *queue) {
	if err := q.close(p.codecs[p.closed%len(p.codecs)], p.producerID, p.producerEpoch); err != nil {
		p.failure = err
	}
	p.closed++
	p.pump(p.links[p.led[q.partition]])
}

// onTick closes what has waited long enough, and looks for silence.
func (p *producer) onTick() {
	now := time.Now()
	for _, q := range p.queues {
		if len(q.open) > 0 {
			p.close(q)
		}
	}
	for _, l := range p.links {
		waits := false
		for asked := range p.asked {
			waits = waits || asked.link == l
		}
		if waits && now.Sub(l.heard) > silence {
			p.refresh()
		}
		p.pump(l)
	}
	if slices.Contains(p.led, "") {
		p.refresh()
	}
	if p.buffered() == 0 {
		p.lastAck = now
	} else if now.Sub(p.lastAck) > deadline {
		p.failure = fmt.Errorf("nothing was acknowledged for %s", deadline)
	}
}

// follow sends each queue to who leads its partition now.
func (p *producer) follow() {
	for partition, q := range p.queues {
		address := p.cluster.places[partition].address
		if address == p.led[partition] {
			continue
		}
		p.report.Resent += q.recover()
		p.led[partition], q.notBefore = address, time.Time{}
		if address != "" && p.links[address] == nil {
			if err := p.connect(address); err != nil {
				p.failure = err
			}
		}
		p.pump(p.links[address])
	}
}

func (p *producer) connect(address string) error {
	conn, err := dial(address)
	if err != nil {
		return err
	}
	l := &produceLink{address: address}
	l.connect = func(ctx context.Context, conn *grpc.ClientConn) (bidi[pb.ProduceRequest, pb.ProduceResponse], error) {
		return pb.NewBrokerServiceClient(conn).Produce(ctx)
	}
	l.hear = func(answer *pb.ProduceResponse) { p.hear(l, answer) }
	l.ended = func(error) { p.lost(l) }
	l.opened = func() { p.pump(l) }
	p.links[address] = l
	l.run(conn, p.loop)
	return nil
}

// pump sends what may be sent: one batch a partition in each request.
func (p *producer) pump(l *produceLink) {
	for l != nil && l.open {
		request := &pb.ProduceRequest{RequestId: p.lastRequest + 1}
		for partition, q := range p.queues {
			if p.led[partition] != l.address {
				continue
			}
			if batch := q.next(time.Now()); batch != nil {
				request.Batches = append(request.Batches, &pb.PartitionBatch{
					TopicId: p.cluster.topicID, Partition: uint32(partition),
					LeaderEpoch: p.cluster.places[partition].epoch, Batch: batch,
				})
				p.asked[question{l, request.RequestId, uint32(partition)}] = q.attempt
			}
		}
		if len(request.Batches) == 0 {
			return
		}
		p.lastRequest++
		l.out <- request
	}
}

func (p *producer) hear(l *produceLink, answer *pb.ProduceResponse) {
	for _, result := range answer.Results {
		asked := question{l, result.RequestId, result.Partition}
		attempt, known := p.asked[asked]
		delete(p.asked, asked)
		if q := p.queues[result.Partition]; known && attempt == q.attempt {
			p.settle(q, result)
		}
	}
	l.open = answer.Closing == nil // what was accepted is still answered, more is not
	if answer.Closing != nil || answer.LeadershipUnconfirmed {
		p.refresh()
	}
	p.pump(l)
}

func (p *producer) settle(q *queue, result *pb.ProduceResult) {
	switch code := result.Error.GetCode(); {
	case code == pb.ErrorCode_NONE || code == pb.ErrorCode_DUPLICATE_SEQUENCE:
		if code != pb.ErrorCode_NONE {
			p.report.Duplicates++
		}
		p.report.Acked += q.acknowledged()
		p.lastAck = time.Now()
		p.lines.write(map[string]int{"acked": p.report.Acked})
		fail(p.lines.out.Flush())
	case retriable[code]:
		p.report.Resent += q.recover()
		q.pause(time.Now())
		if p.cluster.hint(q.partition, result.Error.Leader) {
			p.report.Hints++
			p.follow()
		} else {
			p.refresh()
		}
	default: // OUT_OF_ORDER_SEQUENCE too: the oldest comes next, and nothing before it was given up
		p.failure = fmt.Errorf("partition %d: %w", q.partition, asError(result.Error))
	}
}

// lost: the stream is gone, and with it all answers.
func (p *producer) lost(l *produceLink) {
	for asked := range p.asked {
		if asked.link == l {
			delete(p.asked, asked)
		}
	}
	for partition, q := range p.queues {
		if p.led[partition] == l.address {
			p.report.Resent += q.recover()
		}
	}
	p.refresh()
}

// retriable errors of one batch; the same batch may succeed later, here or at another broker.
var retriable = map[pb.ErrorCode]bool{
	pb.ErrorCode_NOT_LEADER:                       true,
	pb.ErrorCode_FENCED_LEADER_EPOCH:              true,
	pb.ErrorCode_UNKNOWN_LEADER_EPOCH:             true,
	pb.ErrorCode_LEADER_NOT_AVAILABLE:             true,
	pb.ErrorCode_REPLICA_NOT_AVAILABLE:            true,
	pb.ErrorCode_SHUTTING_DOWN:                    true,
	pb.ErrorCode_TIMED_OUT:                        true,
	pb.ErrorCode_UNAVAILABLE:                      true,
	pb.ErrorCode_UNKNOWN_TOPIC:                    true, // the broker may not have heard of it yet
	pb.ErrorCode_UNKNOWN_PARTITION:                true,
	pb.ErrorCode_NOT_ENOUGH_REPLICAS:              true,
	pb.ErrorCode_NOT_ENOUGH_REPLICAS_AFTER_APPEND: true,
	pb.ErrorCode_CORRUPT_BATCH:                    true,
	pb.ErrorCode_OFFSET_NOT_AVAILABLE:             true,
	pb.ErrorCode_DISK_FULL:                        true,
	pb.ErrorCode_STORAGE_FAILED:                   true,
	pb.ErrorCode_DISK_STALLED:                     true,
}
