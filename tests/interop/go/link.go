package main

// One long stream to one broker, opened again for as long as its owner wants it.

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

const (
	silence   = time.Second // after so long without a message a broker may not lead any more
	reconnect = 50 * time.Millisecond
)

// loop runs what the streams report, one after the other: nothing else in this program is locked.
type loop chan func()

type bidi[Q, R any] = grpc.BidiStreamingClient[Q, R]

type link[Q, R any] struct {
	address string
	out     chan *Q // the bounds on what is unanswered keep it from filling up
	heard   time.Time
	open    bool // something may be sent
	connect func(context.Context, *grpc.ClientConn) (bidi[Q, R], error)
	hear    func(*R)
	opened  func()
	ended   func(error) // nothing will be answered that was not
}

// run opens the stream and keeps it. `conn` is this link's own.
func (l *link[Q, R]) run(conn *grpc.ClientConn, to loop) {
	ctx, cancel := context.WithCancel(context.Background())
	l.out, l.open, l.heard = make(chan *Q, 4096), true, time.Now()
	out := l.out
	l.opened()
	go func() {
		stream, err := l.connect(ctx, conn)
		if err == nil {
			go speak(ctx, stream, out)
			err = listen(stream, func(message *R) {
				to <- func() { l.heard = time.Now(); l.hear(message) }
			})
		}
		cancel()
		to <- func() { l.open = false; l.ended(err) }
		time.Sleep(reconnect)
		to <- func() { l.run(conn, to) }
	}()
}

func speak[Q, R any](ctx context.Context, stream bidi[Q, R], out <-chan *Q) {
	for {
		select {
		case message := <-out:
			if stream.Send(message) != nil {
				return // listen knows why
			}
		case <-ctx.Done():
			return
		}
	}
}

func listen[Q, R any](stream bidi[Q, R], hear func(*R)) error {
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		hear(message)
	}
}
