package main

// What a client knows of the cluster: its coordinators, and who leads each partition of one topic.

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	pb "streamkeep.example/interop/streamkeepv1"
)

const (
	maxMessageBytes = 16 << 20
	patience        = 3 * time.Second // with one coordinator, before the next one is asked
	brokerPatience  = 5 * time.Second // with a unary call to a broker
	deadline        = 120 * time.Second
)

// dial makes a connection: produce, fetch and everything else have one each.
func dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true,
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 200 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithNoProxy())
}

// place is where a partition is led.
type place struct {
	address string // empty = nobody leads
	epoch   int32
}

type cluster struct {
	coordinators []string
	conns        map[string]*grpc.ClientConn
	brokers      map[int32]string
	topicID      []byte
	places       []place
	index        uint64 // of the newest metadata seen
}

func newCluster(bootstrap string) *cluster {
	return &cluster{coordinators: strings.Split(bootstrap, ","), conns: map[string]*grpc.ClientConn{}}
}

func (c *cluster) conn(address string) (*grpc.ClientConn, error) {
	if known := c.conns[address]; known != nil {
		return known, nil
	}
	conn, err := dial(address)
	if err == nil {
		c.conns[address] = conn
	}
	return conn, err
}

// ask puts a question to one coordinator after the other until `call` says that it is answered. It may name
// whom to ask next.
func (c *cluster) ask(call func(context.Context, *grpc.ClientConn) (next string, err error)) error {
	var last error
	next := ""
	for began, turn := time.Now(), 0; time.Since(began) < deadline; turn++ {
		address := c.coordinators[turn%len(c.coordinators)]
		if next != "" {
			address = next
		}
		conn, err := c.conn(address)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		next, last = call(ctx, conn)
		cancel()
		if last == nil {
			return nil
		}
		if next == "" {
			time.Sleep(50 * time.Millisecond)
		}
	}
	return last
}

// create makes the topic, under an id of our own: made again after a lost answer it finds its own topic.
func (c *cluster) create(topic string, partitions int) error {
	id := make([]byte, 16)
	rand.Read(id)
	request := &pb.CreateTopicsRequest{Topics: []*pb.NewTopic{{Name: topic, Partitions: uint32(partitions), TopicId: id}}}
	return c.ask(func(ctx context.Context, conn *grpc.ClientConn) (string, error) {
		answer, err := pb.NewAdminServiceClient(conn).CreateTopics(ctx, request)
		if err != nil {
			return "", err
		}
		if failed(answer.Error) {
			return answer.Error.ActiveAddress, asError(answer.Error)
		}
		return "", asError(answer.Outcomes[0].Error)
	})
}

// fetchMetadata asks for the topic; it touches nothing but coordinators, so that it may run beside the loop.
func (c *cluster) fetchMetadata(topic string) (*pb.GetMetadataResponse, error) {
	var answer *pb.GetMetadataResponse
	err := c.ask(func(ctx context.Context, conn *grpc.ClientConn) (string, error) {
		var err error
		answer, err = pb.NewMetadataServiceClient(conn).GetMetadata(ctx, &pb.GetMetadataRequest{Names: []string{topic}})
		if err != nil {
			return "", err
		}
		return "", asError(answer.Topics[0].Error)
	})
	return answer, err
}

// apply takes in metadata: a partition only ever moves to a newer leader epoch. True if something moved.
func (c *cluster) apply(answer *pb.GetMetadataResponse) bool {
	if answer.MetadataIndex >= c.index {
		c.index = answer.MetadataIndex
		c.brokers = map[int32]string{}
		for _, broker := range answer.Brokers {
			c.brokers[broker.BrokerId] = broker.Address
		}
	}
	topic, moved := answer.Topics[0], false
	c.topicID = topic.TopicId
	for _, partition := range topic.Partitions {
		if int(partition.Partition) == len(c.places) {
			c.places = append(c.places, place{})
		}
		now := place{c.brokers[partition.Leader], partition.LeaderEpoch}
		if old := &c.places[partition.Partition]; now.epoch >= old.epoch && now != *old {
			*old, moved = now, true
		}
	}
	return moved
}

// hint takes a broker's word for who leads. False if that is no news.
func (c *cluster) hint(partition int, leader *pb.LeaderHint) bool {
	if leader == nil || leader.Address == "" || leader.LeaderEpoch <= c.places[partition].epoch {
		return false
	}
	c.places[partition] = place{leader.Address, leader.LeaderEpoch}
	return true
}

// misroute makes the client believe that another broker leads, without saying in which epoch: it will be told.
func (c *cluster) misroute() {
	for partition := range c.places {
		for _, address := range c.brokers {
			if address != c.places[partition].address {
				c.places[partition] = place{address: address}
				break
			}
		}
	}
}

func failed(e *pb.Error) bool { return e != nil && e.Code != pb.ErrorCode_NONE }

func asError(e *pb.Error) error {
	if !failed(e) {
		return nil
	}
	return fmt.Errorf("%s: %s", e.Code, e.Message)
}
