//! ChatML, the format of Qwen2 and of z1-nano, written out by hand: the renderer that training uses.
//!
//! Not for: a GGUF's own template ([`super::ChatTemplate`]); a test holds that both agree where the
//! template is ChatML.

use super::{Message, Rendered, Role, Segment};

/// Renders a conversation as ChatML. With `open`, the assistant's turn is left open for the model to fill.
pub fn render_chatml(messages: &[Message], open: bool) -> Rendered {
    let mut segments = Vec::with_capacity(messages.len() * 4 + 1);
    let frame = |text: String, learn: bool| Segment { text, special: true, learn };
    for message in messages {
        let learn = message.role == Role::Assistant;
        segments.push(frame(format!("<|im_start|>{}\n", message.role.name()), false));
        segments.push(Segment { text: message.content.clone(), special: false, learn });
        // The end-of-turn is learnt, the line break after it is only frame.
        segments.push(frame("<|im_end|>".to_owned(), learn));
        segments.push(frame("\n".to_owned(), false));
    }
    if open {
        segments.push(frame("<|im_start|>assistant\n".to_owned(), false));
    }
    Rendered { segments }
}
