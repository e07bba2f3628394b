package triggers

import (
	"reflect"
	"slices"
	"testing"
)

// The catalogue is sorted, complete, and every setting that an entry uses is one.
func TestCatalogue(t *testing.T) {
	var settings []string
	for f := range reflect.TypeFor[Settings]().Fields() {
		settings = append(settings, f.Tag.Get("yaml"))
	}
	if !slices.IsSorted(Names()) {
		t.Errorf("not sorted: %v", Names())
	}
	used := []string{"kind"}
	for _, e := range All() {
		if e.Summary == "" || e.Say == nil || e.Fire == nil {
			t.Errorf("%s is not complete", e.Name)
		}
		if found, ok := Find(e.Name); !ok || found.Name != e.Name {
			t.Errorf("%s is not found", e.Name)
		}
		for _, name := range e.Uses {
			if !slices.Contains(settings, name) {
				t.Errorf("%s uses %q, which is no setting", e.Name, name)
			}
		}
		used = append(used, e.Uses...)
	}
	for _, name := range settings {
		if !slices.Contains(used, name) {
			t.Errorf("no trigger uses %q", name)
		}
	}
	if _, ok := Find("earthquake"); ok {
		t.Error("found what is not there")
	}
}
