#!/usr/bin/env bash
# Copies the files of a folder into a new numbered backup, and drops the oldest ones.
set -euo pipefail

usage() {
    echo "usage: backup.sh SOURCE TARGET [KEEP]" >&2
    exit 2
}

[ $# -ge 2 ] && [ $# -le 3 ] || usage
source=$1
target=$2
keep=${3:-3}
[[ $keep =~ ^[1-9][0-9]*$ ]] || usage
[ -d "$source" ] || { echo "backup.sh: no such folder: $source" >&2; exit 1; }

# The number of the last backup, or 0.
last_number() {
    local last=0 folder
    for folder in "$target"/backup-*; do
        [ -d "$folder" ] && last=$((10#${folder##*-}))
    done
    echo "$last"
}

copy_files() {
    local file
    for file in "$source"/*; do
        if [ -f "$file" ]; then
            cp -p -- "$file" "$1"
        fi
    done
}

drop_oldest() {
    local folders=("$target"/backup-*)
    local surplus=$((${#folders[@]} - keep))
    if [ "$surplus" -gt 0 ]; then
        rm -rf -- "${folders[@]:0:surplus}"
    fi
}

mkdir -p -- "$target"
new=$target/backup-$(printf '%03d' $(($(last_number) + 1)))
mkdir -- "$new"
copy_files "$new"
drop_oldest
echo "$new: $(find "$new" -type f -printf 'x' | wc -c) files"
