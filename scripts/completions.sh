#!/bin/sh
# Writes the shells' completions of lockjam to the folder completions, which a release packs.
set -eu
cd "$(dirname "$0")/.."
mkdir -p completions
for shell in bash zsh fish; do
    go run ./cmd/lockjam completion "$shell" >"completions/lockjam.$shell"
done
