package main

// The five codecs, each with the frame that records.proto names and a bound on what comes out.

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLz4
	codecZstd
)

const maxRecordsBytes = 64 << 20

var codecNames = []string{"none", "gzip", "snappy", "lz4", "zstd"}

var errTooLarge = errors.New("the records hold more than any batch may")

func codecNamed(name string) (uint32, error) {
	for number, known := range codecNames {
		if name == known {
			return uint32(number), nil
		}
	}
	return 0, fmt.Errorf("there is no codec '%s'", name)
}

func compress(codec uint32, plain []byte) ([]byte, error) {
	var packed bytes.Buffer
	switch codec {
	case codecNone:
		return plain, nil
	case codecGzip:
		return written(gzip.NewWriter(&packed), plain, &packed)
	case codecSnappy:
		return snappy.Encode(nil, plain), nil
	case codecLz4:
		return written(lz4.NewWriter(&packed), plain, &packed)
	case codecZstd:
		writer, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return writer.EncodeAll(plain, nil), nil
	}
	return nil, fmt.Errorf("there is no codec %d", codec)
}

func written(to io.WriteCloser, plain []byte, packed *bytes.Buffer) ([]byte, error) {
	if _, err := to.Write(plain); err != nil {
		return nil, err
	}
	err := to.Close()
	return packed.Bytes(), err
}

func decompress(codec uint32, packed []byte) ([]byte, error) {
	switch codec {
	case codecNone:
		return packed, nil
	case codecGzip:
		return gunzip(packed)
	case codecSnappy:
		if size, err := snappy.DecodedLen(packed); err != nil || size > maxRecordsBytes {
			return nil, errors.Join(err, errTooLarge)
		}
		return snappy.Decode(nil, packed)
	case codecLz4:
		return readAll(lz4.NewReader(bytes.NewReader(packed)))
	case codecZstd:
		reader, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxRecordsBytes))
		if err != nil {
			return nil, err
		}
		defer reader.Close()
		return reader.DecodeAll(packed, nil)
	}
	return nil, fmt.Errorf("there is no codec %d", codec)
}

// gunzip takes one member, and nothing behind it.
func gunzip(packed []byte) ([]byte, error) {
	rest := bytes.NewReader(packed)
	member, err := gzip.NewReader(rest)
	if err != nil {
		return nil, err
	}
	member.Multistream(false)
	plain, err := readAll(member)
	if err == nil && rest.Len() > 0 {
		err = errors.New("the gzip records are more than one member")
	}
	return plain, err
}

func readAll(from io.Reader) ([]byte, error) {
	plain, err := io.ReadAll(io.LimitReader(from, maxRecordsBytes+1))
	if err == nil && len(plain) > maxRecordsBytes {
		err = errTooLarge
	}
	return plain, err
}
