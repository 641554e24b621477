//! The training core: forward and backward of a Qwen2 model, written out by hand.
//!
//! `math.md` states every equation once; the files here carry the same names. [`exec::LayerExec`] is the
//! seam between the order of the work ([`exec::pass`]) and who does it: [`cpu::CpuExec`] today.
//!
//! Not for: what is learnt, in which order, how fast or for how long; that is `train`.
#![doc = include_str!("math.md")]

pub mod attention;
pub mod config;
pub mod cpu;
pub mod dropout;
pub mod exec;
pub mod frozen;
pub mod gemm;
mod gemm_bf16;
pub mod head;
pub mod kernels;
pub mod layer;
pub mod linear;
pub mod model;
pub mod params;
mod simd;
pub mod team;

#[cfg(test)]
mod gradient_tests;
