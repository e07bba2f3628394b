package main

import (
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/observe"
)

func TestWatchExplainsClientsBeyondTheLimit(t *testing.T) {
	for connected, want := range map[int64]string{
		30: "clients 30/32 (94%)  ",
		32: "clients 32/32 (100%)  ",
		33: "clients 32/32 (100%) + 1 from before maxclients was lowered  ",
	} {
		limit, rejected := int64(32), 0.0
		got := observe.SecondLine(observe.Reading{Connected: &connected, MaxClients: &limit, RejectedPerS: &rejected})
		if !strings.Contains(got, want) {
			t.Errorf("%d clients: %q, want %q", connected, got, want)
		}
	}
}
