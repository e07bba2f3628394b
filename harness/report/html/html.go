// Package html writes a run or a comparison as one page, charts and all.
package html

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"sync"

	"github.com/lockjam/lockjam/harness/report/chart"
	"github.com/lockjam/lockjam/harness/report/view"
	"github.com/lockjam/lockjam/harness/text"
)

var (
	//go:embed page.gohtml
	pageText string
	//go:embed base.css
	baseCSS string // of every page
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageScript string

	pageStyle = baseCSS + pageCSS + chart.CSS
)

var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Parse(pageText))
})

// Write writes report.html: one file that asks nothing of a network, with the answer
// first and every arm below it. Charts are drawn from the histories in v.Folder, and
// links lead to what is there; without it the page says what it has to leave out.
func Write(w io.Writer, v *view.Run) error {
	p := newPage(v)
	var b bytes.Buffer
	if err := pageTemplate().Execute(&b, p); err != nil {
		return fmt.Errorf("report: html: %w", err)
	}
	_, err := w.Write([]byte(text.Printable(b.String())))
	return err
}

// policy forbids a page whatever it does not bring along, should anything have slipped
// through the escaping: its style and its script, if it has one, are known by their hash.
func policy(css, script string) string {
	scripts := ""
	if script != "" {
		scripts = fmt.Sprintf(" script-src '%s';", sourceHash(script))
	}
	return fmt.Sprintf("default-src 'none'; style-src '%s';%s base-uri 'none'; form-action 'none'", sourceHash(css),
		scripts)
}

func sourceHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
