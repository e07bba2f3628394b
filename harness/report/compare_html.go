package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"

	"github.com/lockjam/lockjam/harness/compare"
)

//go:embed compare.css
var compareStyle string

//go:embed compare.html.tmpl
var compareTemplate string

var comparePage = template.Must(template.New("compare").Funcs(template.FuncMap{
	"sections": sections, "remarks": remarks, "counted": counted, "runLine": runLine, "on": on, "groups": groups,
}).Parse(compareTemplate))

// CompareHTML writes a comparison as one page that needs nothing else: no script, no
// font, no network, which its Content-Security-Policy also forbids.
func CompareHTML(w io.Writer, c *compare.Comparison) error {
	sum := sha256.Sum256([]byte(compareStyle))
	return comparePage.Execute(w, map[string]any{
		"C": c, "Style": template.CSS(compareStyle), //nolint:gosec // our own file, embedded
		"Policy": "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
	})
}

// group is all rows of one arm.
type group struct {
	Scenario, Arm string
	Rows          []compare.Row
}

// groups are the rows arm by arm, in their order.
func groups(rows []compare.Row) []group {
	var all []group
	for _, r := range rows {
		scenario, arm := placeOf(r)
		if n := len(all); n == 0 || all[n-1].Scenario != scenario || all[n-1].Arm != arm {
			all = append(all, group{Scenario: scenario, Arm: arm})
		}
		last := &all[len(all)-1]
		last.Rows = append(last.Rows, r)
	}
	return all
}
