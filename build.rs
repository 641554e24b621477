//! Looks whether the tiny model lies in the tree; where it does, the binary carries it.

use std::path::Path;

fn main() {
    let path = Path::new("models/z1-nano.gguf");
    println!("cargo::rustc-check-cfg=cfg(z1_nano)");
    println!("cargo::rerun-if-changed=models");
    println!("cargo::rerun-if-changed=build.rs");
    let Ok(bytes) = std::fs::read(path) else { return };
    // A Git LFS pointer or an unfinished copy is no model.
    if !bytes.starts_with(b"GGUF") {
        println!("cargo::warning=models/z1-nano.gguf is no GGUF and is left out");
        return;
    }
    // FNV-1a: names the extracted copy, so that a newer binary never reads an older model.
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    println!("cargo::rustc-cfg=z1_nano");
    println!("cargo::rustc-env=Z1_NANO_HASH={hash:016x}");
}
