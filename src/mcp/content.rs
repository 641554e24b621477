//! What a tool gave back, as text for a model and for people.
//!
//! Not for: how much of it is shown.

use serde_json::Value;

use super::Called;
use crate::sandbox::text::clean;

/// Reads the result of a call. `None` where it is none.
pub(super) fn read(result: &Value) -> Option<Called> {
    let object = result.as_object()?;
    let failed = object.get("isError").and_then(Value::as_bool).unwrap_or(false);
    let mut parts: Vec<String> = Vec::new();
    match object.get("content") {
        Some(Value::Array(content)) => parts.extend(content.iter().map(part)),
        None | Some(Value::Null) => {}
        Some(_) => return None,
    }
    if parts.iter().all(|part| part.trim().is_empty())
        && let Some(structured) = object.get("structuredContent").filter(|value| !value.is_null())
    {
        parts = vec![structured.to_string()];
    }
    Some(Called { failed, text: clean(&parts.join("\n")) })
}

fn part(part: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let left_out = |what: &str, of: &Value, bytes: usize| {
        format!("({what}, {}, {bytes} bytes, is not shown)", of.as_str().unwrap_or("of an unknown type"))
    };
    match part["type"].as_str().unwrap_or_default() {
        "text" => text(&part["text"]),
        kind @ ("image" | "audio") => left_out(kind, &part["mimeType"], decoded(&text(&part["data"]))),
        "resource" => {
            let resource = &part["resource"];
            match resource["text"].as_str() {
                Some(shown) => format!("{}:\n{shown}", text(&resource["uri"])),
                None => left_out("resource", &resource["mimeType"], decoded(&text(&resource["blob"]))),
            }
        }
        "resource_link" => text(&part["uri"]),
        "" => "(a part without a type is not shown)".to_owned(),
        other => format!("(a part of the type `{other}` is not shown)"),
    }
}

/// Bytes that a text in base64 stands for.
fn decoded(text: &str) -> usize {
    text.trim_end_matches('=').len() * 3 / 4
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_part_is_text_or_named() {
        let called = read(&json!({ "content": [
            { "type": "text", "text": "a\u{1b}[31mb\u{1b}]52;c;eA==\u{7}" },
            { "type": "image", "mimeType": "image/png", "data": "AAAA" },
            { "type": "resource", "resource": { "uri": "file:///x", "text": "t" } },
            { "type": "resource_link", "uri": "file:///y" },
            { "type": "hologram" }, 7,
        ] }))
        .unwrap();
        assert!(!called.failed);
        let lines: Vec<&str> = called.text.lines().collect();
        assert_eq!(lines[..2], ["ab", "(image, image/png, 3 bytes, is not shown)"]);
        assert_eq!(lines[2..5], ["file:///x:", "t", "file:///y"]);
        assert!(lines[5].contains("`hologram`") && lines[6].contains("without a type"));
    }

    #[test]
    fn errors_and_structures_are_read_and_what_is_none_is_said() {
        let failed = read(&json!({ "isError": true, "content": [{ "type": "text", "text": "no" }] })).unwrap();
        assert_eq!(failed, Called { failed: true, text: "no".into() });
        assert_eq!(read(&json!({ "structuredContent": { "a": 1 } })).unwrap().text, "{\"a\":1}");
        assert_eq!(read(&json!({})).unwrap().text, "");
        assert!(read(&json!({ "content": "text" })).is_none() && read(&json!([])).is_none());
    }
}
