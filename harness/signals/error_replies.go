package signals

import (
	"strings"

	"github.com/lockjam/lockjam/harness/history"
)

// While Redis turns commands down (no memory, no disk, no permission, a replica in the
// place of a primary), connections and latency look healthy: a refusal is quick. Error
// replies are counted on both sides. The workers count those that their library hands
// on, so what it deals with by itself is none. The server counts every one, for everybody.
//
// There, some are part of healthy traffic: the NOSCRIPT of a script's first EVALSHA, MOVED
// and ASK that a client follows, the ERR to what a library tries when it connects (HELLO,
// CLIENT SETINFO). These count for the server once they outnumber the commands that it
// carries out, which no client brings about that gets its work done.
var errorReplies = Signal{
	Name:    "error-replies",
	Summary: "Redis answers more than ratio of the commands with an error, and more than per_s of them a second, over window_ms",
	Params:  Params{"ratio": 0.01, "per_s": 2, "window_ms": 1000},
	Ranges: Ranges{
		"ratio": {High: 1, UnderHigh: true, TooLow: "it always fires",
			TooHigh: "no more than all can be errors: it never fires"},
		"per_s": number(millions), "window_ms": window(sampledEveryMS),
	},
	Reads: answered("total_error_replies"),
	Unavailable: func(h View) string {
		if len(clientReplies(h)) > 0 || len(serverReplies(h)) > 0 {
			return ""
		}
		if why := noAnswer(h, "total_error_replies"); why != "" {
			return why
		}
		return "error replies are not recorded by prefix here"
	},
	Firings: func(h View, p Params) []Firing {
		clients, server := refusedOfClients(h, p), refusedByServer(h, p)
		return firings(h.Samples, 0, func(i int) reading { return max(clients(i), server(i)) }) // yes, no, unknown
	},
	Figures: func(h View, _ Params, in Span) map[string]float64 {
		figures := map[string]float64{}
		clients := counted(clientReplies(h), toldClients)
		figuresOf(figures, "clients_", clients, func(s *history.Sample) history.Replies { return s.Swarm.Replies }, in)
		server := served(serverReplies(h), func(s *history.Server) int64 { return s.ErrorReplies })
		figuresOf(figures, "server_", server, serverSaid, in)
		return figures
	},
}

// figuresOf adds the growth of all error replies, and of those with each prefix.
func figuresOf(to map[string]float64, side string, all counter, of func(*history.Sample) history.Replies, in Span) {
	first, last, ok := all.ends(in)
	if !ok {
		return
	}
	to[side+"errors_count"] = float64(all.grown(first, last))
	to[side+"errors_per_s"] = round(all.perSecond(first, last), 1)
	prefixes := map[string]bool{}
	for i := first; i <= last; i++ {
		for prefix := range of(&all.samples[i]) {
			prefixes[prefix] = true
		}
	}
	for prefix := range prefixes {
		if n := replied(all.samples, of, prefix).grown(first, last); n > 0 {
			to[side+strings.ToLower(prefix)+"_count"] = float64(n)
		}
	}
}

// replied counts the error replies with a prefix over the restarts of a server. A swarm
// has none.
func replied(samples []history.Sample, of func(*history.Sample) history.Replies, prefix string) counter {
	total := make([]int64, len(samples))
	for i := 1; i < len(samples); i++ {
		now := of(&samples[i])[prefix].Count
		grown := now - of(&samples[i-1])[prefix].Count
		if grown < 0 {
			grown = now
		}
		total[i] = total[i-1] + grown
	}
	return counter{samples, total}
}

func toldClients(s *history.Sample) int64 { return s.Swarm.Replies.Total() }

func serverSaid(s *history.Sample) history.Replies { return s.Server.Replies }

// clientReplies returns the samples in which the workers' error replies are recorded: all
// of them, or none in older journals and where the clients are not lockjam's.
func clientReplies(h View) []history.Sample {
	return only(h.Samples, func(s *history.Sample) (bool, string) { return s.Swarm.Replies != nil, "" })
}

// serverReplies returns the samples in which the server told its error replies.
func serverReplies(h View) []history.Sample {
	return only(h.Samples, func(s *history.Sample) (bool, string) {
		return s.Server != nil && s.Server.Replies != nil, ""
	})
}

// tooMany reports whether errors are too large a part of all answers from one sample to a
// later one. What there was in less than window_ms counts as if it had taken that long.
func (p Params) tooMany(errors, answers counter, from, to int) bool {
	n := float64(errors.grown(from, to))
	took := max(errors.took(from, to), p.millis("window_ms"))
	return n > p["per_s"]*took.Seconds() && n > p["ratio"]*float64(answers.grown(from, to))
}

// refusedOfClients is what the workers' own count says of each sample.
func refusedOfClients(h View, p Params) func(i int) reading {
	samples := clientReplies(h)
	if len(samples) < len(h.Samples) {
		return func(int) reading { return unknown }
	}
	errors := counted(samples, toldClients)
	answers := counted(samples, func(s *history.Sample) int64 { return s.Swarm.Commands })
	return func(i int) reading {
		then := max(back(samples, i, p.millis("window_ms")), 0)
		return when(p.tooMany(errors, answers, then, i))
	}
}

// refusedByServer is what the server's count says of each sample: unknown where it gave
// none, and at its first answer, with which there is nothing to compare.
func refusedByServer(h View, p Params) func(i int) reading {
	samples := serverReplies(h)
	c := turnedDown(samples)
	at := make(map[int]int, len(samples)) // of a sample of h, its place among those
	for i, j := 0, 0; i < len(h.Samples) && j < len(samples); i++ {
		if s := h.Samples[i].Server; s != nil && s == samples[j].Server {
			at[i] = j
			j++
		}
	}
	return func(i int) reading {
		j, answered := at[i]
		if !answered || j == 0 {
			return unknown
		}
		then := max(back(samples, j, p.millis("window_ms")), 0)
		errors := c.refused
		// A connection may have been opened a little earlier than its handshake was answered.
		earlier := max(back(samples, then, p.millis("window_ms")), 0)
		handshakes := perHandshake * c.received.grown(earlier, j)
		if c.ordinary.grown(then, j)-handshakes > c.commands.grown(then, j) {
			errors = c.all
		}
		return when(p.tooMany(errors, c.answers, then, j))
	}
}

// serverCounts are a server's counts over its restarts.
type serverCounts struct {
	commands counter // that it carried out
	received counter // connections
	all      counter // error replies
	ordinary counter // of these, those that healthy traffic has as well
	refused  counter // the rest of them
	answers  counter // commands and error replies: some are counted in both
}

// perHandshake is how many commands a library tries at most when it connects that the
// server may not know: HELLO, CLIENT SETINFO twice, CLIENT MAINT_NOTIFICATIONS (go-redis
// v9.23.0).
const perHandshake = 4

// ordinary are the prefixes that a client library deals with by itself.
var ordinary = []string{"ASK", "ERR", "MOVED", "NOSCRIPT"}

func turnedDown(samples []history.Sample) (c serverCounts) {
	c.all = served(samples, func(s *history.Server) int64 { return s.ErrorReplies })
	ours := served(samples, func(s *history.Server) int64 { return s.Own })
	c.commands = served(samples, func(s *history.Server) int64 { return s.Commands }).without(ours)
	c.received = served(samples, func(s *history.Server) int64 { return s.Received })
	c.ordinary = counter{samples, make([]int64, len(samples))}
	for _, prefix := range ordinary {
		for i, n := range replied(samples, serverSaid, prefix).total {
			c.ordinary.total[i] += n
		}
	}
	c.refused = c.all.without(c.ordinary)
	c.answers = counter{samples, make([]int64, len(samples))}
	for i := range samples {
		c.answers.total[i] = c.commands.total[i] + c.all.total[i]
	}
	return c
}
