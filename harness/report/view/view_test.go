package view_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

// Formats share one view of a run, which stays as it was judged.
func TestOfLeavesTheRun(t *testing.T) {
	for _, r := range []*result.Run{sample.Run(), sample.OnTwo(), {}} {
		before, _ := json.Marshal(r)
		v := view.Of(r)
		if after, _ := json.Marshal(r); string(after) != string(before) {
			t.Errorf("before\n%s\nafter\n%s", before, after)
		}
		if again := view.Of(r); !reflect.DeepEqual(v, again) {
			t.Errorf("got %+v, and then %+v", v, again)
		}
	}
}

func TestRead(t *testing.T) {
	arm := func(verdict result.Verdict, after float64, s result.Signal) result.Arm {
		s.Name = "pulse"
		if after > 0 {
			s.Fired, s.DetectMS = true, &after
		}
		return result.Arm{Verdict: verdict, Signals: []result.Signal{{Name: "other", Fired: true}, s}}
	}
	fired := arm(result.Cured, 100, result.Signal{Cleared: true, Met: true})
	late := arm(result.Relapsed, 300, result.Signal{BaselineFirings: 2, Cleared: true})
	silent, absent := arm(result.Cured, 0, result.Signal{}), result.Arm{}
	unavailable := arm(result.Cured, 0, result.Signal{Unavailable: "no INFO"})
	for _, c := range []struct {
		arms               []result.Arm
		kind, words, brief string
	}{
		{nil, "", "-", "-"},
		{[]result.Arm{absent}, "", "-", "-"},
		{[]result.Arm{silent}, "silent", "0 of 1", "silent"},
		{[]result.Arm{unavailable}, "not available", "not available: no INFO", "not available"},
		// An arm without the signal does not count.
		{[]result.Arm{fired, absent}, "fires", "1 of 1, 100 ms", "100 ms"},
		{[]result.Arm{fired, late}, "fires", "2 of 2, 200 ms, 2 false alarms before", "200 ms, 2 false alarms before"},
		{[]result.Arm{silent, late}, "fires now and then", "1 of 2, 300 ms, 2 false alarms before",
			"1 of 2, 300 ms, 2 false alarms before"},
	} {
		r := view.Read(c.arms, "pulse")
		if r.Kind() != c.kind || r.Words() != c.words || r.Brief() != c.brief {
			t.Errorf("got %q, %q, %q, want %q, %q, %q", r.Kind(), r.Words(), r.Brief(), c.kind, c.words, c.brief)
		}
	}
	// Only where there was a cure is there something to clear after.
	if r := view.Read([]result.Arm{fired, late, silent}, "pulse"); r.Cured != 1 || r.Cleared != 1 || r.Met != 1 ||
		r.Of != 3 || r.Fastest != 100 {
		t.Errorf("%+v", r)
	}
}

// Images that agree are said once, the others by what they agree on.
func TestShort(t *testing.T) {
	r := sample.Run()
	for _, c := range view.Of(r).Chapters {
		if len(c.Short) != 1 || c.Short[0].Images != nil {
			t.Errorf("%+v", c.Short)
		}
	}
	var images [][]string
	for _, s := range view.Of(sample.OnTwo()).Chapters[0].Short {
		images = append(images, s.Images)
	}
	if want := [][]string{{"redis:6"}, {"valkey:9"}}; !reflect.DeepEqual(images, want) {
		t.Errorf("got %v, want %v", images, want)
	}
}
