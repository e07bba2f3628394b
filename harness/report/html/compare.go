package html

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"sync"

	"github.com/lockjam/lockjam/harness/compare"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/text"
)

var (
	//go:embed compare.gohtml
	compareMarkup string
	//go:embed compare.css
	compareCSS string
)

var compareTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("compare").Funcs(template.FuncMap{"on": view.On, "groups": groups}).
		Parse(compareMarkup))
})

// Compare writes a comparison as one page that needs nothing else: no script, no
// font, no network, which its Content-Security-Policy also forbids.
func Compare(w io.Writer, c *view.Comparison) error {
	css := baseCSS + compareCSS
	var b bytes.Buffer
	if err := compareTemplate().Execute(&b,
		map[string]any{"C": c, "Style": template.CSS(css), "Policy": policy(css, "")}); err != nil {
		return fmt.Errorf("compare: html: %w", err)
	}
	_, err := io.WriteString(w, text.Printable(b.String()))
	return err
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
		scenario, arm := view.PlaceOf(r)
		if n := len(all); n == 0 || all[n-1].Scenario != scenario || all[n-1].Arm != arm {
			all = append(all, group{Scenario: scenario, Arm: arm})
		}
		last := &all[len(all)-1]
		last.Rows = append(last.Rows, r)
	}
	return all
}
