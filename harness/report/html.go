package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's template, style and script
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/lockjam/lockjam/harness"
)

var (
	//go:embed page.gohtml
	pageText string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageScript string
)

var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Parse(pageText))
})

// HTML writes report.html: one file that asks nothing of a network, with the answer
// first and every arm below it. Charts are drawn from the histories in r.Folder, and
// links lead to what is there; without it the page says what it has to leave out.
func HTML(w io.Writer, r *harness.Run) error {
	p := newPage(r)
	var b bytes.Buffer
	if err := pageTemplate().Execute(&b, p); err != nil {
		return fmt.Errorf("report: html: %w", err)
	}
	_, err := w.Write(visible(b.Bytes()))
	return err
}

// policy forbids the page whatever it does not bring along, should anything have
// slipped through the escaping: scripts and styles are known by their hash.
func policy(css, script string) string {
	return fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", sourceHash(css), sourceHash(script))
}

func sourceHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// visible replaces characters that nobody sees and that could make a page say
// something else than it seems to: controls, and what turns the direction of text.
func visible(page []byte) []byte {
	if !bytes.ContainsFunc(page, unseen) {
		return page
	}
	return bytes.Map(func(r rune) rune {
		if unseen(r) {
			return utf8.RuneError
		}
		return r
	}, page)
}

func unseen(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r < ' ', r >= 0x7f && r < 0xa0:
		return true
	}
	return r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
