package scenario

import (
	"reflect"
	"strings"
	"testing"
)

// Every setting of a scenario has an entry in the table, and every entry is of a setting.
func TestEveryFieldHasAnEntry(t *testing.T) {
	entries := map[string]Field{}
	for _, f := range Fields() {
		if _, twice := entries[f.Key]; twice || f.Text == "" {
			t.Errorf("%s is there twice, or has no text", f.Key)
		}
		entries[f.Key] = f
	}
	found := map[string]bool{}
	var look func(key string, of reflect.Type)
	look = func(key string, of reflect.Type) {
		for of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct {
			return
		}
		for f := range of.Fields() {
			name := f.Tag.Get("yaml")
			if name == "-" || name == "" {
				continue
			}
			at := strings.TrimPrefix(key+"."+name, ".")
			shared := strings.TrimPrefix(at, "arms[].")
			if _, ok := entries[at]; !ok {
				if _, ok := entries[shared]; !ok {
					t.Errorf("%s has no entry", at)
				}
				at = shared
			}
			found[at] = true
			switch f.Type.Kind() {
			case reflect.Slice:
				look(at+"[]", f.Type.Elem())
			case reflect.Map:
				look(at+".*", f.Type.Elem())
			default:
				look(at, f.Type)
			}
		}
	}
	look("", reflect.TypeFor[Scenario]())
	for key := range entries {
		if !found[key] {
			t.Errorf("%s is no setting", key)
		}
	}
}

// A range is of a number, and holds the default wherever nothing else is required.
func TestDefaultsAreInRange(t *testing.T) {
	s := Defaults()
	for _, f := range Fields() {
		if f.Range == nil || f.Required || f.When != nil || strings.HasPrefix(f.Key, "trigger.") {
			continue
		}
		c := &checker{decoder: &decoder{places: map[string]place{"": {1, 1}}}, failed: map[string]bool{}}
		if c.inRange(f.Key, s.number(f.Key), *f.Range); len(c.errs) > 0 {
			t.Errorf("the default is out of range: %v", c.errs)
		}
	}
}

func TestUnits(t *testing.T) {
	for key, want := range map[string]string{"swarm.redial_ms": "milliseconds", "trigger.rate_per_s": "per second",
		"title": ""} {
		if got := (Field{Key: key}).Unit(); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}
