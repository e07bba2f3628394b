package triggers

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockjam/lockjam/harness/faults"
)

// flapping notes when replies began to vanish and when that was over.
type flapping struct {
	faults.Network
	begun time.Time
	drops []time.Duration
	heals []time.Duration
}

func (f *flapping) DropReplies() { f.drops = append(f.drops, time.Since(f.begun)) }
func (f *flapping) Heal()        { f.heals = append(f.heals, time.Since(f.begun)) }

func TestDropReplies(t *testing.T) {
	ms := func(all ...int) (d []time.Duration) {
		for _, n := range all {
			d = append(d, time.Duration(n)*time.Millisecond)
		}
		return d
	}
	for _, c := range []struct {
		name         string
		set          Settings
		cut          int // ms after which the incident phase ends
		drops, heals []time.Duration
	}{
		{"as often as there is time", Settings{ForMS: 1250, DropMS: 150, EveryMS: 250}, 3000,
			ms(0, 250, 500, 750, 1000), ms(150, 400, 650, 900, 1150)},
		{"once", Settings{ForMS: 900, DropMS: 150}, 3000, ms(0), ms(150)},
		// What is left at the end is ended then.
		{"until its own end", Settings{ForMS: 300, DropMS: 150, EveryMS: 250}, 3000, ms(0, 250), ms(150, 300)},
		{"until the incident's end", Settings{ForMS: 1250, DropMS: 150, EveryMS: 250}, 300, ms(0, 250), ms(150, 300)},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &flapping{begun: time.Now()}
				during, end := context.WithTimeout(t.Context(), time.Duration(c.cut)*time.Millisecond)
				defer end()
				done := make(chan struct{})
				err := dropReplies.Fire(t.Context(),
					&Handle{Settings: c.set, Network: f, Begin: func(what func(context.Context)) {
						go func() { defer close(done); what(during) }()
					}})
				<-done
				if err != nil || !slices.Equal(f.drops, c.drops) || !slices.Equal(f.heals, c.heals) {
					t.Errorf("%v: dropped at %v, healed at %v; want %v and %v", err, f.drops, f.heals, c.drops, c.heals)
				}
			})
		})
	}
}
