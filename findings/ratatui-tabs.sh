#!/usr/bin/env bash
# A tab in a text that ratatui shows might go to the next tab stop, be one blank, or spoil the screen. It is left out, without a
# blank in its place: Go, Makefiles and every other text that is indented by tabs stand flush left, and `a<tab>b` reads "ab".
# `Line::width` counts each of them as one column all the same, so that what is centred or cut by its width is off. Tabs have to be
# expanded before ratatui sees them. Seen with ratatui 0.30.2, rustc 1.95, 2026-11-28:
#
#   |if ok {             |
#   |return 1            |
#   |ab                  |
#   width of "a\tb": 3
#
# Needs cargo and a network. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR="$work/target"
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"

[dependencies]
ratatui = { version = "=0.30.2", default-features = false }
TOML
cat >"$work/src/main.rs" <<'RUST'
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Widget};

fn main() {
    let area = Rect::new(0, 0, 20, 3);
    let mut buffer = Buffer::empty(area);
    Paragraph::new("if ok {\n\treturn 1\na\tb").render(area, &mut buffer);
    for y in 0..area.height {
        let row: String = (0..area.width).map(|x| buffer[(x, y)].symbol()).collect();
        println!("|{row}|");
    }
    println!("width of {:?}: {}", "a\tb", Line::from("a\tb").width());
}
RUST
cd "$work"
said=$(cargo run --quiet)
echo "ratatui 0.30.2, $(rustc --version)"
echo "$said"
wanted=$(cat <<'END'
|if ok {             |
|return 1            |
|ab                  |
width of "a\tb": 3
END
)
[ "$said" = "$wanted" ] || { echo "changed"; exit 1; }
