package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/history"
	"github.com/lockjam/lockjam/harness/report/markdown"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

// What Redis answered with an error stands in each report for people: prefix, how often,
// and its words, in a table and in a sentence.
func TestErrorRepliesAreReported(t *testing.T) {
	arm := result.Arm{
		Name: "control", Repeat: 1, Outcome: result.Pass, Verdict: result.NoEffect,
		Because: "No lock was granted for 3.0 s afterwards.",
		ErrorReplies: []result.ErrorReply{
			{Prefix: "OOM", Count: 21654, First: "OOM command not allowed | when", Last: "OOM"},
			{Prefix: "BUSY", Count: 2, First: "BUSY <b>Redis</b>", Last: "BUSY"},
		},
		Phases: []result.Phase{
			{Name: history.Incident, ErrorReplies: map[string]int64{"OOM": 20000}},
			{Name: history.Recovery, ErrorReplies: map[string]int64{"OOM": 1654, "BUSY": 2}},
		},
	}
	r := &result.Run{ID: "x", Repeat: 1, Status: result.Completed, Scenarios: []result.Scenario{
		{Name: "full", Title: "t", Arms: []result.Arm{arm, {Name: "quiet", Repeat: 1, Outcome: result.Pass}}},
	}}
	for format, wants := range map[string][]string{
		"markdown": {
			"## What Redis answered with an error\n",
			`| full | control | OOM | 21,654 | 20,000 | OOM command not allowed \| when |`,
			"| full | control | BUSY | 2 | 0 | BUSY &lt;b",
			"Redis answered 21,656 commands with an error: OOM 21,654 (",
		},
		"html": {"error replies", "BUSY 2, OOM 1654", "Redis answered 21,656 commands with an error: OOM 21,654 ("},
		"json": {`"error_replies": {`, `"prefix": "OOM"`},
	} {
		var b bytes.Buffer
		if err := Write(&b, format, r); err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s does not say %q", format, want)
			}
		}
		if strings.Contains(b.String(), "<b>Redis") {
			t.Errorf("%s: the server's words are not escaped", format)
		}
	}
	r.Scenarios[0].Arms = r.Scenarios[0].Arms[1:]
	var b bytes.Buffer
	if err := markdown.Write(&b, view.Of(r)); err != nil || strings.Contains(b.String(), "with an error") {
		t.Errorf("without error replies (%v):\n%s", err, b.String())
	}
}
