//! Compiles a kernel several times for several instruction sets and picks one at run time.
//!
//! A binary that is built for any x86-64 still runs the wide code where the CPU has it. The clones give
//! the same bits: no kernel fuses multiply and add, and every reduction has a fixed number of lanes.

/// The instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Baseline,
    Avx2,
    Avx512,
}

/// The best level this CPU has (detection is cached by the standard library).
#[inline]
pub(super) fn level() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("avx512dq")
        {
            return Level::Avx512;
        }
        if std::is_x86_feature_detected!("avx2") {
            return Level::Avx2;
        }
    }
    Level::Baseline
}

/// Declares functions whose bodies are compiled once per [`Level`].
macro_rules! simd_kernels {
    ($($(#[$meta:meta])* pub fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block)*) => {$(
        $(#[$meta])*
        pub fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[expect(unsafe_code, reason = "a function for a CPU feature may only be called where the feature is")]
                match $crate::sft::core::simd::level() {
                    // SAFETY: `level` found every feature that the clone is compiled for.
                    $crate::sft::core::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::sft::core::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::sft::core::simd::Level::Baseline => {}
                }
            }
            body($($arg),*)
        }
    )*};
}
pub(super) use simd_kernels;
