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
    for folder in $(ls -d $target/backup-* 2>/dev/null); do
        last=$((10#${folder##*-}))
    done
    echo $last
}

copy_files() {
    local name
    for name in $(ls $source); do
        if [ -f $source/$name ]; then
            cp -p $source/$name $1
        fi
    done
}

drop_oldest() {
    local folders count
    folders=$(ls -d $target/backup-*)
    count=$(echo "$folders" | wc -l)
    if [ $count -gt $keep ]; then
        rm -rf $(echo "$folders" | head -n $((count - keep)))
    fi
}

mkdir -p $target
new=$target/backup-$(printf '%03d' $(($(last_number) + 1)))
mkdir $new
copy_files $new
drop_oldest
echo "$new: $(ls $new | wc -l) files"
