package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
)

func TestChanges(t *testing.T) {
	arm := func(folder string, o result.Outcome, v result.Verdict, unsafe bool) result.Arm {
		return result.Arm{Folder: folder, Outcome: o, Verdict: v, Unsafe: unsafe}
	}
	turned := result.Change{Was: arm("a/b@9", result.Fail, result.NoEffect, false),
		Now: arm("a/b@9", result.Pass, result.Cured, true)}
	control := result.Change{Was: arm("calm/control", result.Pass, "", false),
		Now: arm("calm/control", result.Fail, "", false)}
	lost := result.Change{Was: arm("a/d", result.Pass, result.Cured, false),
		Now: arm("a/d", result.Pass, result.Cured, false), Lost: errors.New("it is gone")}
	var figures []result.Change
	for n := range view.MaxNames + 2 {
		same := arm(fmt.Sprintf("a/c@%d", n), result.Pass, result.Cured, false)
		figures = append(figures, result.Change{Was: same, Now: same})
	}
	for _, c := range []struct {
		name    string
		changes []result.Change
		want    string
	}{
		{"nothing", nil, "changed: nothing\n"},
		{"a verdict, and where there is none", []result.Change{turned, control},
			"changed: 2 arms\na/b@9         fail, no-effect -> pass, cured, UNSAFE\ncalm/control  pass -> fail\n"},
		{"what is lost, beside what is not", []result.Change{lost, control},
			"changed: 1 arm\ncalm/control  pass -> fail\nnot judged again, still pass, cured: a/d: it is gone\n"},
		{"nothing but what is lost", []result.Change{lost},
			"changed: nothing\nnot judged again, still pass, cured: a/d: it is gone\n"},
		{"figures", figures[:2], "changed: 2 arms\nin figures alone: a/c@0, a/c@1\n"},
		{"figures of many, and what turned is seen among them", append(figures, turned),
			"changed: 19 arms\na/b@9  fail, no-effect -> pass, cured, UNSAFE\nin figures alone: " +
				"a/c@0, a/c@1, a/c@2, a/c@3, a/c@4, a/c@5, a/c@6, a/c@7, a/c@8, a/c@9, a/c@10, a/c@11, a/c@12, a/c@13, a/c@14, a/c@15 and 2 more\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			if err := Changes(&b, c.changes); err != nil || b.String() != c.want {
				t.Errorf("%v\n%s\nwant\n%s", err, b.String(), c.want)
			}
		})
	}
}
