//! A complete text: every block of it, with what only the whole text can tell.

use std::sync::LazyLock;

use regex::Regex;

use super::scanner::KnownEnd;
use super::{Block, Event, Format, Kind, Scanner, ThinkTags, fence, marker};

/// A text with more broken blocks than this is read with the last ones left open.
const READINGS_MAX: usize = 64;

/// Every block of a complete text, in order, those of its thinking left out; the last one may be unclosed.
///
/// A block whose end never comes does not swallow what follows it: where a closing line of another width, or the end
/// of the fence around it, is the only one that fits, the block ends there and reading goes on behind it.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut ends: Vec<(usize, KnownEnd)> = Vec::new();
    loop {
        let mut found = pass(text, ends.clone());
        let lost = found.iter().find(|block| is_lost(block) && !ends.iter().any(|(start, _)| *start == block.start));
        let Some(block) = lost.filter(|_| ends.len() < READINGS_MAX) else {
            mark_doubts(&mut found, text);
            return found;
        };
        let end = true_end(block, text).unwrap_or(KnownEnd::Before(usize::MAX));
        ends.push((block.start, end));
    }
}

fn pass(text: &str, ends: Vec<(usize, KnownEnd)>) -> Vec<Block> {
    let mut scanner = Scanner::again(ends);
    let mut events = scanner.push(text);
    events.extend(scanner.finish());
    let mut blocks = Vec::new();
    for event in events {
        match event {
            Event::Closed(block) => blocks.push(block),
            Event::ThinkingEnded { .. } => blocks.clear(),
            Event::Opened { .. } | Event::ThinkingBegan { .. } => {}
        }
    }
    blocks
}

/// Where the answer begins: after the last tag that ends thinking; 0 where there is none.
pub fn thinking_end(text: &str, tags: Option<&ThinkTags>) -> usize {
    let mut scanner = tags.map_or_else(Scanner::new, |tags| Scanner::with_thinking(tags.clone(), false));
    let mut events = scanner.push(text);
    events.extend(scanner.finish());
    let end = |event: &Event| if let Event::ThinkingEnded { at } = event { Some(*at) } else { None };
    events.iter().rev().find_map(end).unwrap_or(0)
}

fn is_lost(block: &Block) -> bool {
    !block.closed && matches!(block.kind, Kind::Edit(format) if format != Format::UnifiedDiff)
}

/// The lines of `text` from the byte `from` on, with where each begins.
fn lines_from(text: &str, from: usize) -> impl Iterator<Item = (usize, &str)> {
    let mut at = from;
    text[from..].split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line.trim_end_matches(['\n', '\r']))
    })
}

/// Where a block ends whose own closing line never came.
fn true_end(block: &Block, text: &str) -> Option<KnownEnd> {
    let inner = || lines_from(text, block.start).skip(1).take_while(|(at, _)| *at < block.end);
    let wrapper_end = || {
        let opening = lines_from(text, block.wrapped?).next()?.1;
        let item = fence::list_item(opening).map_or(0, |(_, byte)| byte);
        let wrapper = fence::delimiter(opening).or_else(|| fence::delimiter(&opening[item..]))?;
        let closes = |line: &str| {
            fence::delimiter(line)
                .is_some_and(|d| d.mark == wrapper.mark && d.length >= wrapper.length && d.info.is_empty())
        };
        inner().find(|(_, line)| closes(line)).map(|(at, _)| KnownEnd::Before(at))
    };
    match block.kind {
        Kind::Edit(Format::SearchReplace) => {
            let head = marker::head(lines_from(text, block.start).next()?.1)?;
            let mate = if head.mark == '-' { '+' } else { '>' };
            let mut loose = inner().filter(|(_, line)| marker::end(line).is_some_and(|(mark, _)| mark == mate));
            match (loose.next(), loose.next()) {
                (Some((at, _)), None) => Some(KnownEnd::With(at)),
                _ => wrapper_end(),
            }
        }
        Kind::Edit(Format::ToolCall) if marker::tool_tag(&text[block.start..]).is_none() => {
            let call =
                ["\"arguments\"", "\"parameters\"", "\"input\"", "\"old_str", "\"file_text\"", "*** Begin Patch"];
            let is_call = call.iter().any(|key| text[block.start..block.end].contains(key));
            (!is_call).then_some(KnownEnd::None)
        }
        Kind::Edit(Format::ToolCall) => json_end(block, text).or_else(wrapper_end),
        _ => wrapper_end(),
    }
}

/// The line on which the JSON value of a call ends whose tag was never closed.
fn json_end(block: &Block, text: &str) -> Option<KnownEnd> {
    let inner = &text[block.start..block.end];
    let from = inner.find(['{', '['])?;
    let mut stream = serde_json::Deserializer::from_str(&inner[from..]).into_iter::<serde::de::IgnoredAny>();
    stream.next()?.ok()?;
    let end = block.start + from + stream.byte_offset();
    lines_from(text, block.start).take_while(|(at, _)| *at < end).last().map(|(at, _)| KnownEnd::With(at))
}

/// Marks the blocks whose closing line may be another than the one that pairing gives.
fn mark_doubts(blocks: &mut [Block], text: &str) {
    for at in 0..blocks.len() {
        let block = &blocks[at];
        let after = text[block.end..].lines().next().unwrap_or("");
        let bare_next = blocks.get(at + 1).is_some_and(|next| {
            next.info.is_empty()
                && next.wrapped.is_none()
                && fence::delimiter(text[next.start..].lines().next().unwrap_or("")).is_some()
        });
        // In Markdown a fence without a tag may open as well as close; text that goes on at once says that it opened.
        if block.document && block.closed && bare_next && !after.trim().is_empty() {
            blocks[at].doubtful = true;
        }
    }
}

static INVENTED_TURN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:#{2,4}\s*(?:User|Human|Instruction|System)\s*:.*|(?:User|Human):\s*$|</?s>|\[/?INST\].*)$")
        .expect("invariant: the turn pattern is valid")
});
static AFTER_FENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^\s*(?:`{3,}|~{3,})(<\|[a-z_]+\|>)").expect("invariant: the mark pattern is valid")
});
const CONTROL: [&str; 5] = ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|eot_id|>", "<|end|>"];

/// The reply proper: without thinking, without turns the model invented for the user, with line feeds only. Inside a
/// block nothing is cut: a file may speak of turns.
pub fn proper(reply: &str) -> String {
    let mut text = reply.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    text.drain(..thinking_end(&text, None));
    if let Some(mark) =
        AFTER_FENCE.captures(&text).and_then(|found| found.get(1)).filter(|m| CONTROL.contains(&m.as_str()))
    {
        text.truncate(mark.start());
        text.push('\n');
    }
    while let Some(rest) = CONTROL.iter().find_map(|mark| text.trim_end().strip_suffix(mark)) {
        text.truncate(rest.len());
    }
    let blocks = blocks(&text);
    let inside = |at: usize| blocks.iter().any(|block| block.start <= at && at < block.end);
    let marked =
        CONTROL.iter().flat_map(|mark| text.match_indices(mark)).map(|(at, _)| at).filter(|at| !inside(*at)).min();
    let turn = lines_from(&text, 0).find(|(at, line)| *at > 0 && INVENTED_TURN.is_match(line) && !inside(*at));
    let end = marked.unwrap_or(text.len()).min(turn.map_or(text.len(), |(at, _)| at));
    text.truncate(end);
    text
}
