//! The element types of tensors and what a block of each weighs.
//!
//! Not for: converting between them.

/// A tensor's element type: `ggml_type` in ggml.h. The number is what stands in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorType(pub u32);

/// Number, name, elements in a block, bytes of a block.
const TABLE: &[(u32, &str, u64, u64)] = &[
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 36),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
    (42, "Q2_0", 64, 18),
];

impl TensorType {
    pub const F32: Self = Self(0);
    pub const F16: Self = Self(1);
    pub const Q8_0: Self = Self(8);
    pub const BF16: Self = Self(30);

    fn row(self) -> Option<&'static (u32, &'static str, u64, u64)> {
        TABLE.iter().find(|row| row.0 == self.0)
    }

    /// The name that ggml gives it; `type N` where this build does not know it.
    pub fn name(self) -> String {
        self.row().map_or_else(|| format!("type {}", self.0), |row| row.1.to_owned())
    }

    /// Elements and bytes of a block, where the type is known.
    pub fn block(self) -> Option<(u64, u64)> {
        self.row().map(|row| (row.2, row.3))
    }

    /// The bytes of a tensor with these dimensions (the first one is contiguous). `None` where the type is
    /// unknown, the first dimension is no whole number of blocks, or the size does not fit into 64 bits.
    pub fn bytes(self, dimensions: &[u64]) -> Option<u64> {
        let (elements, bytes) = self.block()?;
        let first = dimensions.first().copied().unwrap_or(1);
        if first % elements != 0 {
            return None;
        }
        let total = dimensions.iter().try_fold(1u64, |total, &dimension| total.checked_mul(dimension))?;
        (total / elements).checked_mul(bytes)
    }
}
