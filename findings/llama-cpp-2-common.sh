#!/usr/bin/env bash
# llama-cpp-2 has a feature `common` for the functions that need llama.cpp's `common` library, and says that switching it off
# drops that library. It does not: the crate depends on llama-cpp-sys-2 with that crate's default features, which hold
# `common` too, and cargo joins features. The library is built all the same, half of llama.cpp's compile time, and nothing of
# it can be called. Seen with llama-cpp-2 0.1.160 and llama-cpp-sys-2 0.1.161, cargo 1.95, 2026-11-27:
#
#   llama-cpp-2 features: openmp
#   llama-cpp-sys-2 features: common default openmp shared-stdcxx
#
# A way out: CMAKE_* variables reach CMake, and a file named by CMAKE_PROJECT_INCLUDE may set LLAMA_BUILD_COMMON to OFF.
# Needs cargo and a network; builds nothing. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
: >"$work/src/lib.rs"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"

[dependencies]
llama-cpp-2 = { version = "=0.1.160", default-features = false, features = ["openmp"] }
llama-cpp-sys-2 = { version = "=0.1.161", default-features = false }
TOML
cd "$work"
features() {
    cargo tree --quiet --edges normal --prefix none --format '{p} {f}' | awk -v name="$1" '$1 == name { print $NF; exit }' | tr ',' ' '
}
wrapper=$(features llama-cpp-2)
beneath=$(features llama-cpp-sys-2)
echo "llama-cpp-2 features: $wrapper"
echo "llama-cpp-sys-2 features: $beneath"
case " $wrapper " in *' common '*) echo "changed: the wrapper has \`common\` although it was not asked for"; exit 1 ;; esac
case " $beneath " in
*' common '*) echo "as seen: \`common\` is built without being asked for" ;;
*) echo "changed: \`common\` is not built any more"; exit 1 ;;
esac
