package waitgraph

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestDrawings(t *testing.T) {
	tests := []struct {
		name         string
		graph        *sketch
		mermaid, dot string
	}{
		{"small enough for every lock to have its node", abba(), `flowchart LR
	n0(["w1"])
	n1(["w2"])
	n2["lock A"]
	n3["lock B"]
	n0 -.->|"waits for"| n3
	n2 -->|"held by"| n0
	n1 -.->|"waits for"| n2
	n3 -->|"held by"| n1
`, `digraph residue {
	rankdir=LR;
	n0 [shape=ellipse, label="w1"];
	n1 [shape=ellipse, label="w2"];
	n2 [shape=box, label="lock A"];
	n3 [shape=box, label="lock B"];
	n0 -> n3 [style=dashed, label="waits for"];
	n2 -> n0 [style=solid, label="held by"];
	n1 -> n2 [style=dashed, label="waits for"];
	n3 -> n1 [style=solid, label="held by"];
}
`},
		{"similar nodes merged", slotLock(30), `flowchart LR
	n0(["4 workers"])
	n1(["30 workers"])
	n2(["46 workers"])
	n3["4 locks"]
	n4["30 client slots"]
	n0 -.->|"4 wait"| n4
	n3 -->|"4 held"| n0
	n1 -.->|"30 wait"| n3
	n4 -->|"30 held"| n1
	n2 -.->|"46 wait"| n4
	n2 -.->|"46 wait"| n3
`, ""},
		// Workers with the same holds and waits are one node even in a small drawing.
		{"an orphan", orphanedLock(), `flowchart LR
	n0(["6 workers"])
	n1(["crashed (dead owner)"])
	n2["30 client slots"]
	n3["lock L"]
	n0 -.->|"6 wait"| n3
	n2 -->|"6 held"| n0
	n3 -->|"held by"| n1
`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := still(tt.graph).Residue
			if got := r.Mermaid(); got != tt.mermaid {
				t.Errorf("it draws\n%swant\n%s", got, tt.mermaid)
			}
			if got := r.DOT(); tt.dot != "" && got != tt.dot {
				t.Errorf("it draws\n%swant\n%s", got, tt.dot)
			}
		})
	}
}

// Keys come from Redis and may contain any bytes.
func TestLabelsAreEscaped(t *testing.T) {
	k := draw(lock("a\"b\\c<i>#`\n\xff&"))
	f := still(k.worker("w", of(k.s.Resources[0].Name), of(k.s.Resources[0].Name)))
	if got, want := f.Residue.Mermaid(),
		"\tn1[\"lock a#quot;b#92;c#lt;i#gt;#35;#96;\ufffd\ufffd#amp;\"]\n"; !strings.Contains(got, want) {
		t.Errorf("%s lacks\n%s", got, want)
	}
	if got, want := f.Residue.DOT(), "label=\"lock a\\\"b\\\\c<i>#`\ufffd\ufffd&\"];\n"; !strings.Contains(got, want) {
		t.Errorf("%s lacks\n%s", got, want)
	}
	const quoted = `lock "a\"b\\c<i>#` + "`" + `\n\xff&"`
	if want := "Deadlock: w holds " + quoted + " and waits for " + quoted + "."; f.Sentence != want {
		t.Errorf("%s\nwant\n%s", f.Sentence, want)
	}
}

// The size of a drawing does not depend on the size of the residue.
func TestDrawingsStaySmall(t *testing.T) {
	k := draw(slots(500))
	for i := range 200 {
		k.with(lock(fmt.Sprintf("lock:%d", i))).with(pool(fmt.Sprintf("pool-%d", i), 2))
		k.worker(fmt.Sprintf("holder-%d", i), of(fmt.Sprintf("lock:%d", i)), of(fmt.Sprintf("pool-%d", i)))
		for j := range 2 {
			name := fmt.Sprintf("w%d-%d", i, j)
			k.worker(name, of(fmt.Sprintf("pool-%d", i), "server"), of(fmt.Sprintf("lock:%d", i)))
		}
	}
	f := still(k)
	const want = "Deadlock: 400 workers hold 400 of 500 client slots and all 400 turns of 200 pools " +
		"and wait for one of 200 locks; 200 workers hold those 200 locks and wait for a turn of their pools."
	if f.Sentence != want {
		t.Errorf("%s\nwant\n%s", f.Sentence, want)
	}
	if n := strings.Count(f.Residue.Mermaid(), "\n"); n != 1+5+5 {
		t.Errorf("%d lines:\n%s", n, f.Residue.Mermaid())
	}
}

// A report that reads a recorded analysis draws the same.
func TestAnalysisSurvivesJSON(t *testing.T) {
	for _, k := range []*sketch{slotLock(30), abba(), orphanedLock(), leakedSlots(), poolSelfDeadlock()} {
		f := still(k)
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var g Analysis
		if err := json.Unmarshal(text, &g); err != nil {
			t.Fatal(err)
		}
		if g.Residue.Mermaid() != f.Residue.Mermaid() || g.Residue.DOT() != f.Residue.DOT() {
			t.Errorf("drawn from JSON:\n%s%swant\n%s", text, g.Residue.Mermaid(), f.Residue.Mermaid())
		}
	}
}
