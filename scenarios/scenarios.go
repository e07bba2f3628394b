// Package scenarios is the catalogue: one YAML file per failure, each with the
// why of its numbers in its comments.
package scenarios

import "embed"

// Files holds every scenario of the catalogue as NAME.yaml.
//
//go:embed *.yaml
var Files embed.FS

// Names lists the catalogue in the order in which a newcomer should meet it.
var Names = []string{
	"slot-lock-deadlock",
	"orphaned-lock",
	"lock-convoy",
	"failover-lost-lock",
	"cluster-hot-shard",
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
