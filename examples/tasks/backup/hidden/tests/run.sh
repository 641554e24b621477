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

# Names of every kind, in folders with a space.
mkdir "my notes" "my notes/a folder"
for name in "my list.txt" "  two  spaces " "-n" "*" "[ab].txt" "a" "back\\slash" "quote's" $'line\nend'; do
    printf '%s' "$name" > "my notes/$name"
done
printf hidden > "my notes/.hidden"
bash "$program" "my notes" "my backups" > /dev/null 2>&1
expect "status with spaces" 0 $?
(cd "my notes" && find . -maxdepth 1 -type f ! -name '.h*' -exec cmp {} "../my backups/backup-001/{}" \;) > differences 2>&1
expect "all files are the same" "" "$(cat differences)"
expect "and there are no others" 9 "$(find "my backups/backup-001" -type f -printf 'x\n' | wc -l)"
expect "no folders" "" "$(find "my backups/backup-001" -mindepth 1 -type d)"

for _ in 1 2 3; do bash "$program" "my notes" "my backups" 2 > /dev/null 2>&1; done
expect "the newest two with spaces" "backup-003 backup-004" "$(ls "my backups" | xargs)"

# Nothing beside the backups is dropped.
mkdir "my" && touch "my/precious"
bash "$program" "my notes" "my backups" 1 > /dev/null 2>&1
expect "only the newest" "backup-005" "$(ls "my backups" | xargs)"
expect "nothing else was dropped" "precious" "$(ls my)"

# A folder without files gives a backup without files.
mkdir empty
bash "$program" empty "empty backup" > /dev/null 2>&1
expect "status of an empty folder" 0 $?
expect "its backup" "" "$(ls -A "empty backup/backup-001" 2>&1)"
expect "what is printed" "plain/backup-001: 0 files" "$(bash "$program" empty plain 2>&1)"

# The number goes on after 8 and 9.
mkdir -p many/backup-009
bash "$program" notes many > /dev/null 2>&1
expect "after 009" "backup-009 backup-010" "$(ls many | xargs)"

exit $failed
