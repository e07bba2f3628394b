#!/bin/sh
# Formatting, vet, staticcheck, and known vulnerabilities where the database
# can be reached. Versions are pinned, so that a green tree stays green.
set -eu
cd "$(dirname "$0")/.."

unformatted=$(gofmt -l cmd harness scenarios)
if [ -n "$unformatted" ]; then
	echo "lint: gofmt would change:" >&2
	echo "$unformatted" >&2
	exit 1
fi
go vet ./...
go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

# govulncheck asks vuln.go.dev. Where that is out of reach (a build without
# network) the check is left out, and says so.
if out=$(go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./... 2>&1); then
	echo "lint: govulncheck found nothing"
elif echo "$out" | grep -q 'vuln.go.dev'; then
	echo "lint: govulncheck left out: vuln.go.dev is not reached"
else
	echo "$out" >&2
	exit 1
fi
