//! A tiny Qwen2 model with random weights and a small but real byte-level BPE vocabulary.
//!
//! It talks nonsense, quickly. Tests write it, so that reader, writer, engine and trainer check one another
//! without a download.
//!
//! Not for: the model that ships (`models/`).

use std::path::Path;

use super::{GgufError, TensorType, Value, Writer};

/// The tiny model's shape. The default has about 0.2 million weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiny {
    pub seed: u64,
    pub layers: u32,
    pub width: u32,
    pub heads: u32,
    pub kv_heads: u32,
    pub feed_forward: u32,
    pub context_tokens_max: u32,
    /// Types of the matrices, taken in turn; all F32 where empty. `width` and `feed_forward` must be whole blocks.
    pub kinds: &'static [TensorType],
}

/// Where the scales (halves) of a block lie, for types whose blocks can be made of random bytes.
const SCALES: &[(u32, &[usize])] = &[
    (2, &[0]),
    (3, &[0, 2]),
    (6, &[0]),
    (7, &[0, 2]),
    (8, &[0]),
    (10, &[80, 82]),
    (11, &[108]),
    (12, &[0, 2]),
    (13, &[0, 2]),
    (14, &[208]),
];

/// Random blocks of a quantised type whose numbers are about as large as weights are.
///
/// # Panics
/// Where the type is not one of Q4_0 to Q8_0 and Q2_K to Q6_K.
pub fn random_blocks(kind: TensorType, blocks: usize, seed: u64) -> Vec<u8> {
    let scales = SCALES.iter().find(|(number, _)| *number == kind.0).expect("invariant: the type is a known one").1;
    let size = kind.block().expect("invariant: the type is a known one").1 as usize;
    let mut random = SplitMix(seed);
    let mut bytes: Vec<u8> = (0..blocks * size).map(|_| (random.centred() * 256.0) as i32 as u8).collect();
    for block in bytes.chunks_exact_mut(size) {
        for &at in scales {
            // K-quants multiply by six more bits.
            let largest = if kind.block().is_some_and(|(numbers, _)| numbers == 256) { 2e-4 } else { 4e-3 };
            let scale = half::f16::from_f32((random.centred() + 0.6) * largest);
            block[at..at + 2].copy_from_slice(&scale.to_le_bytes());
        }
    }
    bytes
}

impl Default for Tiny {
    fn default() -> Self {
        Self {
            seed: 1,
            layers: 2,
            width: 64,
            heads: 4,
            kv_heads: 2,
            feed_forward: 128,
            context_tokens_max: 2048,
            kinds: &[],
        }
    }
}

/// Control tokens, after the bytes and the merged pieces.
pub const CONTROL: [&str; 4] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>"];

/// Merges in the order of their rank. The last ones spell `</s>`, which is an ordinary token in Qwen's
/// vocabulary and must not end anything.
const MERGES: [(&str, &str); 30] = [
    ("Ġ", "t"),
    ("h", "e"),
    ("i", "n"),
    ("r", "e"),
    ("Ġt", "he"),
    ("Ġ", "a"),
    ("o", "n"),
    ("e", "r"),
    ("Ġ", "i"),
    ("Ġi", "s"),
    ("Ġ", "Ġ"),
    ("ĠĠ", "ĠĠ"),
    ("d", "e"),
    ("de", "f"),
    ("re", "t"),
    ("u", "r"),
    ("ret", "ur"),
    ("retur", "n"),
    ("a", "s"),
    ("as", "s"),
    ("ass", "er"),
    ("asser", "t"),
    ("u", "s"),
    ("us", "er"),
    ("a", "n"),
    ("s", "y"),
    ("<", "/"),
    ("s", ">"),
    ("</", "s>"),
    ("Ċ", "Ċ"),
];

/// ChatML, as every Qwen2 model has it, without tools.
pub const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + \
                                 message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt \
                                 %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// The character that stands for a byte in byte-level BPE vocabularies (GPT-2's table): printable bytes
/// stand for themselves, the others for the characters from U+0100 on, in order.
pub fn byte_character(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if printable(byte) {
        return char::from(byte);
    }
    let hidden_before = (0..byte).filter(|&other| !printable(other)).count() as u32;
    char::from_u32(256 + hidden_before).expect("invariant: U+0100 to U+0143 are characters")
}

/// The vocabulary in the order of its ids: 256 bytes, the merged pieces, the control tokens.
pub fn vocabulary() -> Vec<String> {
    let bytes = (0..=255).map(|byte| byte_character(byte).to_string());
    let merged = MERGES.iter().map(|(left, right)| format!("{left}{right}"));
    bytes.chain(merged).chain(CONTROL.map(str::to_owned)).collect()
}

impl Tiny {
    /// Writes the model. The same seed gives the same file, byte for byte.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(self, path: &Path) -> Result<(), GgufError> {
        let mut writer = Writer::new();
        self.describe(&mut writer);
        self.announce_tensors(&mut writer);
        let mut random = SplitMix(self.seed);
        writer.write(path, |tensor, output| {
            if tensor.kind != TensorType::F32 {
                let (numbers, _) = tensor.kind.block().expect("invariant: it was announced");
                random.centred();
                return output.write_all(&random_blocks(tensor.kind, (tensor.elements() / numbers) as usize, random.0));
            }
            let is_norm = tensor.name.ends_with("norm.weight");
            let scale = if tensor.name.ends_with("bias") { 0.1 } else { 3.0 / (tensor.dimensions[0] as f32).sqrt() };
            for _ in 0..tensor.elements() {
                let weight = if is_norm { 1.0 } else { random.centred() * scale };
                output.write_all(&weight.to_le_bytes())?;
            }
            Ok(())
        })
    }

    fn describe(self, writer: &mut Writer) {
        let tokens = vocabulary();
        let first_control = tokens.len() - CONTROL.len();
        let kinds = (0..tokens.len()).map(|id| if id < first_control { 1 } else { 3 }).collect();
        let id_of = |word: &str| Value::U32(tokens.iter().position(|token| token == word).unwrap_or(0) as u32);
        writer.set("general.architecture", "qwen2");
        writer.set("general.name", "tiny random qwen2");
        writer.set("general.file_type", Value::U32(0));
        writer.set("qwen2.block_count", Value::U32(self.layers));
        writer.set("qwen2.context_length", Value::U32(self.context_tokens_max));
        writer.set("qwen2.embedding_length", Value::U32(self.width));
        writer.set("qwen2.feed_forward_length", Value::U32(self.feed_forward));
        writer.set("qwen2.attention.head_count", Value::U32(self.heads));
        writer.set("qwen2.attention.head_count_kv", Value::U32(self.kv_heads));
        writer.set("qwen2.rope.freq_base", Value::F32(10_000.0));
        writer.set("qwen2.attention.layer_norm_rms_epsilon", Value::F32(1e-6));
        writer.set("tokenizer.ggml.model", "gpt2");
        writer.set("tokenizer.ggml.pre", "qwen2");
        writer.set("tokenizer.ggml.eos_token_id", id_of("<|im_end|>"));
        writer.set("tokenizer.ggml.padding_token_id", id_of("<|endoftext|>"));
        writer.set("tokenizer.ggml.add_bos_token", Value::Bool(false));
        writer.set("tokenizer.chat_template", CHAT_TEMPLATE);
        writer.set("tokenizer.ggml.token_type", Value::I32s(kinds));
        let merges = MERGES.iter().map(|(left, right)| format!("{left} {right}")).collect();
        writer.set("tokenizer.ggml.merges", Value::Strings(merges));
        writer.set("tokenizer.ggml.tokens", Value::Strings(tokens));
    }

    fn announce_tensors(self, writer: &mut Writer) {
        let [width, feed_forward] = [u64::from(self.width), u64::from(self.feed_forward)];
        let kv = width / u64::from(self.heads) * u64::from(self.kv_heads);
        let mut matrices = 0;
        let mut add = |name: String, dimensions: &[u64]| {
            let kind = match dimensions {
                [_, _] if !self.kinds.is_empty() => {
                    matrices += 1;
                    self.kinds[(matrices - 1) % self.kinds.len()]
                }
                _ => TensorType::F32,
            };
            writer.tensor(name, kind, dimensions);
        };
        // Tied embeddings: the output matrix is the embedding's.
        add("token_embd.weight".to_owned(), &[width, vocabulary().len() as u64]);
        add("output_norm.weight".to_owned(), &[width]);
        for layer in 0..self.layers {
            for (name, dimensions) in [
                ("attn_norm.weight", &[width][..]),
                ("attn_q.weight", &[width, width]),
                ("attn_q.bias", &[width]),
                ("attn_k.weight", &[width, kv]),
                ("attn_k.bias", &[kv]),
                ("attn_v.weight", &[width, kv]),
                ("attn_v.bias", &[kv]),
                ("attn_output.weight", &[width, width]),
                ("ffn_norm.weight", &[width]),
                ("ffn_gate.weight", &[width, feed_forward]),
                ("ffn_up.weight", &[width, feed_forward]),
                ("ffn_down.weight", &[feed_forward, width]),
            ] {
                add(format!("blk.{layer}.{name}"), dimensions);
            }
        }
    }
}

/// The SplitMix64 generator: good enough for weights that mean nothing, and the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn centred(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    }
}
