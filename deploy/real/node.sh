#!/usr/bin/env bash
# Builds the TypeScript of examples/ in a folder outside the tree, once for each version of its files, and prints that folder.
set -euo pipefail
cd "$(dirname "$0")/../../examples"
files=(package.json tsconfig.json read_your_write.ts)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vantage
folder=$cache/node-$(cat "${files[@]}" | sha256sum | cut -c1-12)
if [ ! -e "$folder/complete" ]; then
    mkdir -p "$cache"
    made=$(mktemp -d "$cache/node.XXXXXX")
    trap 'rm -rf "$made"' EXIT
    cp "${files[@]}" "$made"
    (cd "$made" && npm install --no-audit --no-fund --no-package-lock && npx tsc) >&2
    touch "$made/complete"
    # Whoever else came first has put the same there.
    mv -T "$made" "$folder" 2>/dev/null || [ -e "$folder/complete" ]
fi
echo "$folder"
