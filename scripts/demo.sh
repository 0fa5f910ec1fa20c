#!/bin/sh
# A first night, a second night and two restores on a real folder. Everything happens in a temporary
# folder, which is removed at the end.
set -eu

restow=$(realpath "$1")
# On a disk: what lies in memory, as /tmp may, is always read again.
work=$(mktemp -d -p "${TMPDIR:-/var/tmp}")
trap 'rm -rf "$work"' EXIT INT TERM
export RESTOW_REPOSITORY="$work/repository"
export RESTOW_PASSPHRASE="only for this demo"
export RESTOW_CACHE="$work/cache"

say() { printf '\n== %s\n' "$*"; }
size() { du -sb "$RESTOW_REPOSITORY" | cut -f1; }
field() { sed -n "s/.*\"$1\": \"\{0,1\}\([^\",]*\).*/\1/p" | head -n 1; }

# Real input: this project and the C++ sources of its largest dependency, where cargo has put them.
data="$work/data"
mkdir "$data"
cp -r src docs README.md Cargo.lock "$data/"
rocks=$(find "${CARGO_HOME:-$HOME/.cargo}/registry/src" -maxdepth 2 -name 'librocksdb-sys-*' 2>/dev/null | head -n 1)
[ -z "$rocks" ] || cp -r "$rocks/rocksdb" "$data/rocksdb"

# A file younger than a minute is read again next time. Nobody else writes to these: two seconds will do.
sleep 3

say "init"
"$restow" init

say "first night: $(find "$data" | wc -l) entries, $(du -sb "$data" | cut -f1) bytes"
"$restow" backup "$data" --settle 2 -m "first night"
first=$("$restow" list --json | field id)
after_first=$(size)
cp -a "$data" "$work/first"

say "a day's changes: edits, a new file, a deletion, a rename, a new mode"
echo "// one line more" >> "$data/src/lib.rs"
sed -i 's/RESTOW/restow/' "$data/docs/FORMAT.md"
seq 1 20000 > "$data/numbers.txt"
rm "$data/Cargo.lock"
mv "$data/src/chunk" "$data/src/pieces"
chmod 600 "$data/README.md"

say "second night"
"$restow" backup "$data" --settle 2 -m "second night"
after_second=$(size)
second=$("$restow" list --json --source "$data" | grep '"id"' | tail -n 1 | field id)

say "list"
"$restow" list

say "restore both by id, compare with the originals"
"$restow" restore "$first" --to "$work/restored-first"
"$restow" restore "$second" --to "$work/restored-second"
compare() {
    diff -r --no-dereference "$1" "$2"
    for side in "$1" "$2"; do
        (cd "$side" && find . -printf '%P|%y|%m|%U|%G|%T@|%l\n' | sort) > "$work/$(basename "$side").list"
    done
    diff "$work/$(basename "$1").list" "$work/$(basename "$2").list"
    echo "equal: contents, modes, owners, times"
}
compare "$work/first" "$work/restored-first"
compare "$data" "$work/restored-second"

say "check"
"$restow" check --read-data

say "what each night cost"
echo "first night   $after_first bytes stored"
echo "second night  $((after_second - after_first)) bytes stored"
