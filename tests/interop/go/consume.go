package main

// Consuming: one fetch stream to each broker that leads something, with credit, from the log start on, until
// so many records were written to standard output.

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	pb "streamkeep.example/interop/streamkeepv1"
)

const window = 128 << 10 // bytes of frames on their way or not written out, for each partition

type fetchLink = link[pb.FetchRequest, pb.FetchResponse]

// reader reads one partition.
type reader struct {
	partition    int
	offset       int64 // the next one wanted
	lastEpoch    int32 // of the record before it
	address      string
	subscription uint32 // 0 = none
	taken        int64  // bytes since credit was given
	failures     int
}

type consumer struct {
	*upkeep
	readers          []*reader
	links            map[string]*fetchLink
	bySubscription   map[uint32]*reader
	lastSubscription uint32
	left             int
	hints            int
	lines            lines
	failure          error
}

func consume(o options) error {
	c, err := known(o)
	if err != nil {
		return err
	}
	reading := &consumer{
		links: map[string]*fetchLink{}, bySubscription: map[uint32]*reader{}, left: o.count, lines: newLines(),
	}
	reading.upkeep = &upkeep{cluster: c, topic: o.topic, loop: make(loop, 64), moved: reading.follow}
	for partition := range c.places {
		start, err := reading.earliest(partition)
		if err != nil {
			return err
		}
		reading.readers = append(reading.readers, &reader{partition: partition, offset: start})
	}
	if o.misroute {
		c.misroute()
	}
	reading.follow()
	ticker := time.NewTicker(tick)
	for reading.left > 0 && reading.failure == nil {
		select {
		case event := <-reading.loop:
			event()
		case <-ticker.C:
			reading.onTick()
		}
	}
	if reading.failure == nil {
		reading.lines.write(map[string]int{"hints": reading.hints})
	}
	fail(reading.lines.out.Flush())
	return reading.failure
}

// earliest asks the leader for the log start, whoever that is by now.
func (r *consumer) earliest(partition int) (int64, error) {
	question := &pb.ListOffsetsPartition{
		TopicId: r.cluster.topicID, Partition: uint32(partition), Position: pb.OffsetPosition_EARLIEST,
	}
	var last error
	for began := time.Now(); time.Since(began) < deadline; time.Sleep(reconnect) {
		conn, err := r.cluster.conn(r.cluster.places[partition].address)
		if err != nil {
			return 0, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), brokerPatience)
		request := &pb.ListOffsetsRequest{Partitions: []*pb.ListOffsetsPartition{question}}
		answer, err := pb.NewBrokerServiceClient(conn).ListOffsets(ctx, request)
		cancel()
		if err == nil {
			listed := answer.Offsets[0]
			if last = asError(listed.Error); last == nil {
				return listed.Offset, nil
			}
			if !retriable[listed.Error.Code] {
				return 0, last
			}
			if r.cluster.hint(partition, listed.Error.Leader) {
				r.hints++
				continue
			}
		} else {
			last = err
		}
		if answer, err := r.cluster.fetchMetadata(r.topic); err == nil {
			r.cluster.apply(answer)
		}
	}
	return 0, last
}

// follow reads each partition from who leads it now.
func (r *consumer) follow() {
	for _, one := range r.readers {
		address := r.cluster.places[one.partition].address
		if address == one.address {
			continue
		}
		r.stop(one)
		one.address = address
		if address != "" && r.links[address] == nil {
			if err := r.connect(address); err != nil {
				r.failure = err
			}
		}
		r.start(one)
	}
}

func (r *consumer) connect(address string) error {
	conn, err := dial(address)
	if err != nil {
		return err
	}
	l := &fetchLink{address: address}
	l.connect = func(ctx context.Context, conn *grpc.ClientConn) (bidi[pb.FetchRequest, pb.FetchResponse], error) {
		return pb.NewBrokerServiceClient(conn).Fetch(ctx)
	}
	l.hear = func(answer *pb.FetchResponse) { r.hear(l, answer) }
	l.ended = func(error) { r.lost(l) }
	l.opened = func() {
		for _, one := range r.readers {
			if one.address == address {
				r.start(one)
			}
		}
	}
	r.links[address] = l
	l.run(conn, r.loop)
	return nil
}

// start subscribes from where the reader stands, under a number that was never used.
func (r *consumer) start(one *reader) {
	l := r.links[one.address]
	if l == nil || !l.open || one.subscription != 0 {
		return
	}
	r.lastSubscription++
	one.subscription, one.taken = r.lastSubscription, 0
	r.bySubscription[one.subscription] = one
	l.out <- &pb.FetchRequest{Start: []*pb.FetchStart{{
		Subscription: one.subscription, TopicId: r.cluster.topicID, Partition: uint32(one.partition),
		Offset: one.offset, LeaderEpoch: r.cluster.places[one.partition].epoch,
		LastReadEpoch: one.lastEpoch, CreditBytes: window,
	}}}
}

func (r *consumer) stop(one *reader) {
	if l := r.links[one.address]; l != nil && l.open && one.subscription != 0 {
		l.out <- &pb.FetchRequest{Stop: []uint32{one.subscription}}
	}
	delete(r.bySubscription, one.subscription)
	one.subscription = 0
}

func (r *consumer) hear(l *fetchLink, answer *pb.FetchResponse) {
	l.open = answer.Closing == nil // nothing more comes, and nobody listens
	for _, fetched := range answer.Partitions {
		one := r.bySubscription[fetched.Subscription]
		if one == nil {
			continue // stopped while this was on its way
		}
		if failed(fetched.Error) {
			r.refused(one, fetched.Error)
			continue
		}
		one.failures = 0
		for _, batch := range fetched.Data.GetBatches() {
			r.take(one, batch)
		}
		if l.open && one.taken*2 >= window { // not for every batch: that would be a message a batch
			l.out <- &pb.FetchRequest{Credit: []*pb.FetchCredit{{Subscription: one.subscription, Bytes: one.taken}}}
			one.taken = 0
		}
	}
	if answer.Closing != nil || answer.LeadershipUnconfirmed {
		r.refresh()
	}
}

// take writes out the batch's records. One may begin below the offset that was asked for.
func (r *consumer) take(one *reader, batch *pb.RecordBatch) {
	records, err := decodeBatch(one.partition, batch)
	if err != nil {
		r.failure = fmt.Errorf("partition %d: %w", one.partition, err)
		return
	}
	for _, each := range records {
		if each.Offset >= one.offset && r.left > 0 {
			r.lines.write(each)
			r.left--
		}
	}
	one.taken += headerBytes + int64(len(batch.Records))
	one.offset = max(one.offset, batch.BaseOffset+int64(batch.LastOffsetDelta)+1)
	one.lastEpoch = batch.LeaderEpoch
}

// refused: the subscription is over. OFFSET_OUT_OF_RANGE is for a person to decide; here it is the end.
func (r *consumer) refused(one *reader, reason *pb.Error) {
	delete(r.bySubscription, one.subscription)
	one.subscription = 0
	if !retriable[reason.Code] {
		r.failure = fmt.Errorf("partition %d: %w", one.partition, asError(reason))
		return
	}
	if r.cluster.hint(one.partition, reason.Leader) {
		r.hints++
		r.follow() // and if it is the same broker under a newer epoch, the pause below
	} else {
		r.refresh()
	}
	one.failures++
	wait := min(500*time.Millisecond, 20*time.Millisecond<<min(one.failures, 5))
	time.AfterFunc(wait, func() { r.loop <- func() { r.start(one) } })
}

// lost: every subscription ended with the stream. The readers begin again from where they stand.
func (r *consumer) lost(l *fetchLink) {
	for _, one := range r.readers {
		if one.address == l.address {
			delete(r.bySubscription, one.subscription)
			one.subscription = 0
		}
	}
	r.refresh()
}

func (r *consumer) onTick() {
	for _, l := range r.links {
		if l.open && time.Since(l.heard) > silence {
			r.refresh()
		}
	}
	for _, one := range r.readers {
		if one.address == "" {
			r.refresh()
			break
		}
	}
}
