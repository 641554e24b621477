//! Rewrites what Jinja knows by extension and minijinja does not, before a template is compiled.
//!
//! Not for: anything that changes what a template says.

/// The source with `{% generation %}` blocks (they mark what is learnt, and render as their content in a scope of their
/// own) as `{% with %}` blocks. Text, comments, expressions and raw blocks are left alone.
pub(super) fn rewritten(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%").into_iter().chain(rest.find("{{")).chain(rest.find("{#")).min() {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = match &rest[..2] {
            "{#" => rest.find("#}").map(|end| end + 2),
            "{{" => end_of(rest, "}}"),
            _ => end_of(rest, "%}"),
        };
        let Some(mut end) = end else { break };
        let tag = &rest[..end];
        match name_of(tag) {
            "generation" => out.push_str(&tag.replacen("generation", "with", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endwith", 1)),
            "raw" => {
                end = end_of_raw(rest, end).unwrap_or(rest.len());
                out.push_str(&rest[..end]);
            }
            _ => out.push_str(tag),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// The end of a tag or an expression, which texts in it may spell as well.
fn end_of(text: &str, close: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut quote) = (2, None);
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            // Brackets and quotes are ASCII: the rest of a character is never mistaken for one.
            (None, _) if bytes[at..].starts_with(close.as_bytes()) => return Some(at + close.len()),
            (None, _) => {}
        }
        at += 1;
    }
    None
}

fn end_of_raw(text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += text[at..].find("{%")?;
        let end = at + end_of(&text[at..], "%}")?;
        if name_of(&text[at..end]) == "endraw" {
            return Some(end);
        }
        at += 2;
    }
}

/// The tag's first word; empty for what is no tag.
fn name_of(tag: &str) -> &str {
    let Some(inner) = tag.strip_prefix("{%") else { return "" };
    let inner = inner.trim_start_matches(['-', '+']).trim_start();
    let end = inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len());
    &inner[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tag_itself_is_rewritten() {
        assert_eq!(rewritten("a{%- generation -%}b{% endgeneration %}"), "a{%- with -%}b{% endwith %}");
        for same in [
            "generation",
            "{{ '{% generation %}' }}",
            "{# {% generation %} #}",
            "{% raw %}{% generation %}{% endraw %}",
            "{% if '%}' == generation %}ä{% endif %}",
            "{% unfinished",
            "{{ \"it's\" }}{% set generation = 1 %}",
        ] {
            assert_eq!(rewritten(same), same);
        }
    }
}
