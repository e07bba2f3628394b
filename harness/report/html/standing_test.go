package html

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/report/markdown"
	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

// What the wait-for graph found stands in both reports, also where it is no proof.
func TestStandstillThatIsNotProvedIsTold(t *testing.T) {
	r := sample.Run()
	const sentence = "5 workers wait, and 6950 attempts within 1 s led to no grant, although some workers wait only for free resources."
	for i := range r.Scenarios[0].Arms {
		r.Scenarios[0].Arms[i].Deadlock = &result.Deadlock{Kind: "livelock", Sentence: sentence,
			Graph: "flowchart LR\n n0([\"5 workers\"])\n"}
	}
	r.Scenarios[0].Arms[1].Foreign = []result.Foreign{{Name: "cron", Host: "10.0.0.7", Connections: 2}}
	var b bytes.Buffer
	if err := markdown.Write(&b, view.Of(r)); err != nil {
		t.Fatal(err)
	}
	root, _ := pageOf(t, r)
	for kind, text := range map[string]string{"Markdown": b.String(), "HTML": textOf(root)} {
		for _, want := range []string{sentence, "This is no proof of a deadlock.",
			"Other clients were on the server: cron at 10.0.0.7 (2 connections)"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q", kind, want)
			}
		}
		if strings.Contains(text, "Proved") {
			t.Errorf("%s calls it proved", kind)
		}
	}
}
