//! The commonest published chat formats, for models whose own template is absent or cannot be used.
//!
//! A format is recognised by what the template's text spells, as llama.cpp does it.
//!
//! Not for: templates that render.

/// What a template's text spells, the format's name, and the format.
const FORMATS: &[(&[&str], &str, &str)] = &[
    (&["<|im_start|>"], "ChatML", CHATML),
    (&["<|eot_id|>", "<|start_header_id|>"], "Llama 3's", LLAMA3),
    (&["<start_of_turn>"], "Gemma's", GEMMA),
    (&["<turn|>", "<|turn>"], "Gemma 4's", GEMMA4),
    (&["<｜User｜>", "<｜Assistant｜>"], "DeepSeek's", DEEPSEEK),
    (&["<|CHATBOT_TOKEN|>", "<|START_OF_TURN_TOKEN|>"], "Cohere's", COHERE),
    (&["<|start_of_role|>"], "Granite's", GRANITE),
    (&["[gMASK]", "<|assistant|>"], "GLM's", GLM),
    (&["<|assistant|>", "<|end|>"], "Phi's", PHI),
    (&["<|assistant|>", "<|user|>"], "Zephyr's", ZEPHYR),
    (&["[INST]"], "Mistral's", MISTRAL),
];

const CHATML: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const LLAMA3: &str = "{{ bos_token }}{% for m in messages %}\
    {{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";
const GEMMA: &str = "{{ bos_token }}{% for m in messages %}\
    {% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}\
    {% set role = 'model' if m.role == 'assistant' else m.role %}\
    {{ '<start_of_turn>' + role + '\n' + m.content | trim + '<end_of_turn>\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";
const GEMMA4: &str = "{{ bos_token }}{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}\
    {{ '<|turn>' + role + '\n' + m.content | trim + '<turn|>\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|turn>model\n' }}{% endif %}";
const DEEPSEEK: &str = "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}\
    {% elif m.role == 'user' %}{{ '<｜User｜>' + m.content }}\
    {% else %}{{ '<｜Assistant｜>' + m.content + '<｜end▁of▁sentence｜>' }}{% endif %}{% endfor %}\
    {% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}";
const COHERE: &str = "{{ bos_token }}{% for m in messages %}\
    {% set role = '<|CHATBOT_TOKEN|>' if m.role == 'assistant' else '<|' + m.role | upper + '_TOKEN|>' %}\
    {{ '<|START_OF_TURN_TOKEN|>' + role + m.content | trim + '<|END_OF_TURN_TOKEN|>' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}";
const GRANITE: &str = "{% for m in messages %}\
    {{ '<|start_of_role|>' + m.role + '<|end_of_role|>' + m.content + '<|end_of_text|>\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}";
const GLM: &str = "{{ '[gMASK]<sop>' }}{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";
const PHI: &str = "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";
const ZEPHYR: &str = "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";
const MISTRAL: &str = "{{ bos_token }}{% for m in messages %}\
    {% if m.role == 'system' %}{{ raise_exception('no system role') }}\
    {% elif m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}\
    {% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}";

/// The format that a template's text looks like: its name and a template of ours; ChatML where it looks like none.
pub(super) fn like(source: &str) -> (&'static str, &'static str) {
    let known = FORMATS.iter().find(|(words, ..)| words.iter().all(|word| source.contains(word)));
    known.map_or(("ChatML", CHATML), |(_, name, format)| (*name, *format))
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::FORMATS;

    #[test]
    fn every_format_renders_and_is_recognised_by_its_words() {
        let traits = Traits { bos: "<bos>".into(), eos: "<eos>".into(), ..Traits::default() };
        for (words, name, _) in FORMATS {
            let broken = format!("{{% no such tag %}}{}", words.concat());
            let label = Label { chat_template: Some(broken), ..Label::default() };
            let (template, note) = ChatTemplate::of_model(&label, &traits);
            assert!(note.unwrap().contains(name), "{name}");
            let turns = [(Role::System, "S"), (Role::User, "U"), (Role::Assistant, "A"), (Role::User, "V")];
            let turns = turns.map(|(role, content)| Message::new(role, content));
            let rendered = template.render(&turns, true).unwrap();
            let plain: String = rendered.segments.iter().filter(|s| !s.special).map(|s| s.text.as_str()).collect();
            assert_eq!(plain.replace("\n\n", ""), "SUAV", "{name}: {}", rendered.text());
            assert!(rendered.text().contains(words[0]), "{name}");
        }
    }
}
