// Package scenarios is the catalogue: one YAML file per failure, each with the
// why of its numbers in its comments.
package scenarios

import "embed"

// Files holds every scenario of the catalogue as NAME.yaml.
//
//go:embed *.yaml
var Files embed.FS

// Schema is the JSON Schema of scenario files, for editors.
//
//go:generate go test ../harness/schema -run TestSchemaIsUpToDate -update
//go:generate go test ../harness/report/markdown -run TestGuideIsUpToDate -update
//go:embed scenario.schema.json
var Schema []byte

const (
	// SchemaFile is the name of the file that Schema is.
	SchemaFile = "scenario.schema.json"
	// SchemaURL is where editors find it that have no copy of it.
	SchemaURL = "https://raw.githubusercontent.com/lockjam/lockjam/main/scenarios/" + SchemaFile
)

// Names lists the catalogue in the order in which a newcomer should meet it.
var Names = []string{
	"slot-lock-deadlock",
	"orphaned-lock",
	"severed-holder",
	"lease-expiry",
	"unsafe-release",
	"renewal-starvation",
	"lock-convoy",
	"retry-storm",
	"reconnect-storm",
	"pool-self-deadlock",
	"nested-checkout",
	"connection-leak",
	"blocked-release",
	"lock-order-inversion",
	"failover-lost-lock",
	"cluster-hot-shard",
	"lost-reply",
	"slow-server",
	"healthy",
	"near-limit",
}

// Runbook is the suite that `lockjam run` runs when it is given no names.
var Runbook = []string{
	"slot-lock-deadlock",
	"orphaned-lock",
	"lock-convoy",
	"healthy",
}
