// Package harness is the house that everything of lockjam lives in; it holds no code of its own.
// Its folders are listed in CONTRIBUTING.md, in the order in which they may import each other:
// imports_test.go holds that order.
package harness
