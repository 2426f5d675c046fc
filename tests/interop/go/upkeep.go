package main

// Asking the coordinators again at every sign of trouble: one question at a time, at most ten a second.

import (
	"time"
)

const metadataPace = 100 * time.Millisecond

type upkeep struct {
	cluster *cluster
	topic   string
	loop    loop
	asking  bool
	moved   func() // somebody else leads a partition
}

// refresh asks in the background.
func (u *upkeep) refresh() {
	if u.asking {
		return
	}
	u.asking = true
	go func() {
		answer, err := u.cluster.fetchMetadata(u.topic)
		u.loop <- func() {
			if err == nil && u.cluster.apply(answer) {
				u.moved()
			}
		}
		time.Sleep(metadataPace)
		u.loop <- func() { u.asking = false }
	}()
}
