#!/usr/bin/env bash
# Tests backup.sh in a folder of its own.
set -u
program=$PWD/backup.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failed=0

# expect WHAT RIGHT GOT
expect() {
    if [ "$2" != "$3" ]; then
        printf '%s\nexpected: %s\ngot:      %s\n' "$1" "$2" "$3"
        failed=1
    fi
}

mkdir -p notes/old
echo one > notes/a.txt
echo two > notes/b.txt
touch notes/.hidden notes/old/c.txt
expect "first backup" "out/backup-001: 2 files" "$(bash "$program" notes out 2>&1)"
expect "its files" "a.txt b.txt" "$(ls -A out/backup-001 | xargs)"

for _ in 1 2 3; do bash "$program" notes out 2 > /dev/null; done
expect "the newest two are left" "backup-003 backup-004" "$(ls out | xargs)"

bash "$program" notes > /dev/null 2>&1
expect "usage" 2 $?
bash "$program" nowhere out > /dev/null 2>&1
expect "no such folder" 1 $?

echo three > "notes/my list.txt"
bash "$program" notes spaces > /dev/null 2>&1
expect "a space in a file's name" "three" "$(cat 'spaces/backup-001/my list.txt' 2>&1)"

exit $failed
