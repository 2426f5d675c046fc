// A Streamkeep client in Go, made from the protos with the stock generators: it produces what it reads from
// standard input, or writes to standard output what it consumes. docs/clients.md says what it does and why.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
)

type options struct {
	bootstrap, topic, codecs string
	partitions, count        int
	misroute                 bool
}

func main() {
	var o options
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: %s create|produce|consume --bootstrap HOST:PORT,... --topic NAME", os.Args[0]))
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.bootstrap, "bootstrap", "", "coordinators, host:port with commas")
	flags.StringVar(&o.topic, "topic", "", "name of the topic")
	flags.IntVar(&o.partitions, "partitions", 1, "create: how many")
	flags.StringVar(&o.codecs, "codecs", "none", "produce: one batch after the other is compressed with the next of these")
	flags.IntVar(&o.count, "count", 0, "consume: end after so many records")
	flags.BoolVar(&o.misroute, "misroute", false, "believe at first that other brokers lead")
	flags.Parse(os.Args[2:])
	fail(map[string]func(options) error{"create": create, "produce": produce, "consume": consume}[os.Args[1]](o))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func create(o options) error { return newCluster(o.bootstrap).create(o.topic, o.partitions) }

// known is the cluster as a client first sees it.
func known(o options) (*cluster, error) {
	c := newCluster(o.bootstrap)
	answer, err := c.fetchMetadata(o.topic)
	if err != nil {
		return nil, err
	}
	c.apply(answer)
	if o.misroute {
		c.misroute()
	}
	return c, nil
}

func codecNumbers(names string) ([]uint32, error) {
	var numbers []uint32
	for _, name := range strings.Split(names, ",") {
		number, err := codecNamed(name)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}

// lines writes one JSON object a line.
type lines struct {
	out     *bufio.Writer
	encoder *json.Encoder
}

func newLines() lines {
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	return lines{out, json.NewEncoder(out)}
}

func (l lines) write(item any) { fail(l.encoder.Encode(item)) }
