package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/joshdk/go-junit"

	"github.com/lockjam/lockjam/harness/report/markdown"
	"github.com/lockjam/lockjam/harness/report/sample"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/result"
	"github.com/lockjam/lockjam/harness/text"
)

// Whatever a run says, every format of it is what it claims to be: JUnit is XML, an
// annotation is one line, a report fits and closes what it opens, and nothing acts upon
// a terminal.
func FuzzFormats(f *testing.F) {
	whole, err := json.Marshal(sample.Run())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"status": "aborted", "because": "\u0000\u001b[2J\u202e</details>", "claims": [{"id": "|"}], "scenarios": [{"name": "<b>\n::x::", "arms": [{"signals": [{"name": "`))
	f.Add([]byte(`{"repeat": 2, "scenarios": [{"name": "a", "arms": [{"image": "x"}, {"image": "y", "deadlock": {"proved": true, "graph": "` + "```" + `"}}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r result.Run
		if json.Unmarshal(data, &r) != nil {
			return
		}
		for _, name := range Formats() {
			var b bytes.Buffer
			if err := Write(&b, name, &r); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if text.Printable(b.String()) != b.String() {
				t.Errorf("%s: what nobody sees got through: %q", name, &b)
			}
			if name == "junit" {
				wellFormed(t, b.Bytes())
			}
		}
		var md, summary, commands, text bytes.Buffer
		for _, err := range []error{markdown.Write(&md, view.Of(&r)), GitHub(&summary, &commands, &r), Table(&text, &r)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if md.Len() >= markdown.MaxComment ||
			strings.Count(md.String(), "<details>") != strings.Count(md.String(), "</details>") {
			t.Errorf("%d bytes:\n%s", md.Len(), &md)
		}
		for line := range strings.Lines(commands.String()) {
			if !strings.HasPrefix(line, "::error ") && !strings.HasPrefix(line, "::warning ") {
				t.Errorf("no annotation: %q", line)
			}
		}
		if at := strings.IndexAny(md.String()+text.String()+summary.String()+commands.String(),
			"\x00\x1b\u009b\r\u202e\u2066"); at >= 0 {
			t.Errorf("a terminal would act upon it: %q", md.String())
		}
	})
}

func wellFormed(t *testing.T, data []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(data))
	for {
		_, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, data)
		}
	}
	if _, err := junit.Ingest(data); err != nil {
		t.Errorf("%v in\n%s", err, data)
	}
}
