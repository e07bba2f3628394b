package swarm

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// open is an open system for the length of a test, and what it has been asked for.
func open(t *testing.T, set ArrivalSettings, length time.Duration, answer func(request)) (asked int) {
	t.Helper()
	begun := time.Now()
	elapsed := func() time.Duration { return time.Since(begun) }
	all := Defaults()
	set.Kind, set.Queue = Open, 10_000
	all.Arrivals = set
	a := newArrivals(all)
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	go a.generate(ctx, rand.New(rand.NewPCG(7, 7)), elapsed)
	for {
		r, ok := a.next(ctx, nil)
		if !ok {
			return asked
		}
		asked++
		if answer != nil {
			answer(r)
		}
	}
}

// A caller without an answer asks again, as often as it may; one with an answer does not.
func TestCallersAskAgain(t *testing.T) {
	set := ArrivalSettings{RatePerS: 100, DeadlineMS: 50, Retries: 3}
	for _, c := range []struct {
		name      string
		change    func(*ArrivalSettings)
		answer    func(request)
		low, high int
	}{
		{"nobody is answered", nil, nil, 3600, 4400},
		{"everybody is answered", nil, func(r request) { r.late(0) }, 900, 1100},
		{"no retries", func(s *ArrivalSettings) { s.Retries = 0 }, nil, 900, 1100},
		{"no deadline", func(s *ArrivalSettings) { s.DeadlineMS, s.Retries = 0, 0 }, nil, 900, 1100},
		// A tenth more, and the few that the budget starts with.
		{"a budget of a tenth", func(s *ArrivalSettings) { s.RetryBudget = 0.1 }, nil, 990, 1215},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := set
				if c.change != nil {
					c.change(&s)
				}
				if n := open(t, s, 10*time.Second, c.answer); n < c.low || n > c.high {
					t.Errorf("asked %d times in 10 s, want %d to %d", n, c.low, c.high)
				}
			})
		})
	}
}

// An answer is late when its caller has gone, whichever worker sends it.
func TestLateAnswers(t *testing.T) {
	r := request{call: &call{deadline: time.Second}}
	if r.late(time.Second) || !r.late(time.Second+1) || !r.call.answered.Load() {
		t.Error("the deadline itself is in time, and what comes after it is not")
	}
	if (request{}).late(time.Hour) {
		t.Error("who sets no deadline waits")
	}
}

// A spike is over after its time, and leaves the rate as it was.
func TestSpike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		all := Defaults()
		all.Arrivals = ArrivalSettings{Kind: Open, Queue: 10_000, RatePerS: 100}
		s := &Swarm{arrivals: newArrivals(all), config: Config{Settings: all}}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		go s.arrivals.generate(ctx, rand.New(rand.NewPCG(7, 7)), func() time.Duration { return time.Since(begun) })
		count := func(d time.Duration) int {
			before := len(s.arrivals.queue)
			time.Sleep(d)
			return len(s.arrivals.queue) - before
		}
		before := count(time.Second)
		s.Spike(ctx, 1000, time.Second)
		during, after := len(s.arrivals.queue)-before, count(time.Second)
		if before < 70 || before > 130 || during < 850 || during > 1150 || after < 70 || after > 130 {
			t.Errorf("%d in the second before, %d in the spike, %d in the second after", before, during, after)
		}
	})
}
