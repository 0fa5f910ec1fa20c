#!/bin/sh
# Every dependency's licence must be one we can ship under. Reads cargo's metadata offline.
set -eu

allowed='^(MIT|MIT-0|Apache-2\.0|Apache-2\.0 WITH LLVM-exception|BSD-2-Clause|BSD-3-Clause|ISC|Zlib|0BSD|CC0-1\.0|Unicode-3\.0|Unicode-DFS-2016|BSL-1\.0|OpenSSL|Unlicense|MPL-2\.0|bzip2-1\.0\.6)$'

list=$(mktemp)
trap 'rm -f "$list"' EXIT
# One line a package: name, then its licence expression.
cargo tree --offline --locked --all-features --edges normal,build --prefix none \
    --format '{p}|{l}' | sed 's/ (\*)$//' | sort -u > "$list"

bad=0
count=0
while IFS='|' read -r package licence; do
    [ -n "$package" ] || continue
    count=$((count + 1))
    # An expression is fine when, of each AND part, one OR alternative is allowed.
    if ! printf '%s\n' "$licence" | sed 's#/# OR #g; s/ AND /\n/g' | tr -d '()' | (
        fine=1
        while IFS= read -r part; do
            printf '%s\n' "$part" | sed 's/ OR /\n/g' | sed 's/^ *//; s/ *$//' \
                | grep -Eq "$allowed" || fine=0
        done
        [ "$fine" = 1 ]
    ); then
        echo "licence not allowed: $package: ${licence:-none given}" >&2
        bad=1
    fi
done < "$list"
[ "$count" -gt 20 ] || { echo "only $count packages were listed: the check itself is broken" >&2; exit 1; }
[ "$bad" = 0 ] || exit 1
echo "licences: $count packages, all allowed"
