#!/bin/sh
# Lists the tests of the last `make test` that did not run, or not as a whole, because this machine lacks something.
# With `compare` it fails unless they are those of tests/expected_skips.txt, each under its condition.
set -eu
cd "$(dirname "$0")/.."
folder="${CARGO_TARGET_DIR:-target}/tmp/skips"
found=$(cat "$folder"/*.txt 2>/dev/null | sort -u || true)
if [ -n "$found" ]; then
    printf '%s\n' "$found" | sed 's/ /: /; s/^/skipped: /'
else
    echo "no test was skipped"
fi
[ "${1:-}" = compare ] || exit 0

file_system() { stat -f -c %T "$1"; }

# Whether a condition of tests/expected_skips.txt holds on this machine: yes, no, or maybe.
holds() {
    case $1 in
    unset:*) [ -z "$(printenv "${1#unset:}" || true)" ] ;;
    no-root) [ "$(id -u)" != 0 ] ;;
    no-daemon) [ "$(id -u)" != 0 ] || ! grep -q '^daemon:x:1:' /etc/passwd ;;
    no-mounts) ! unshare --user --map-root-user --mount sh -c 'mount -t tmpfs none /mnt' 2>/dev/null ;;
    no-memory-volume) [ "$(file_system /dev/shm 2>/dev/null)" != tmpfs ] ;;
    no-change-times) case $(file_system "${folder%/skips}") in ext2/ext3 | xfs | btrfs) false ;; esac ;;
    no-attributes)
        # Whether others have them depends on the kernel.
        case $(file_system "${TMPDIR:-/tmp}") in ext2/ext3 | xfs | btrfs) false ;; *) echo maybe && return ;; esac
        ;;
    *) echo "tests/expected_skips.txt: unknown condition $1" >&2 && exit 1 ;;
    esac && echo yes || echo no
}

failed=0
skipped() { printf '%s\n' "$found" | grep -q "^$1 "; }
expected=$(sed 's/#.*//; /^ *$/d' tests/expected_skips.txt)
for test in $(printf '%s\n' "$found" | cut -d' ' -f1 | sort -u); do
    if ! printf '%s\n' "$expected" | grep -q "^$test "; then
        echo "skipped, and tests/expected_skips.txt does not list it: $test"
        failed=1
    fi
done
while read -r test condition; do
    case $(holds "$condition") in
    yes) skipped "$test" || { echo "$condition, and yet it was not skipped: $test" && failed=1; } ;;
    no) ! skipped "$test" || { echo "skipped, though this machine has what it needs ($condition): $test" && failed=1; } ;;
    esac
done <<LIST
$expected
LIST
exit $failed
