package markdown

import "flag"

var update = flag.Bool("update", false, "write docs/decision-table.md anew")
