//! Which prompt files exist: one row a file, embedded in the binary.
//!
//! A new prompt is a file in `prompts/` and a row here; a test fails where one of them is missing.

/// A prompt's name and its text.
pub(super) type Row = (&'static str, &'static str);

/// The default set, right for any instruction-tuned model.
pub(super) const DEFAULT: &[Row] = &[
    ("classify", include_str!("../../prompts/classify.md")),
    ("format_reminder", include_str!("../../prompts/format_reminder.md")),
    ("hint", include_str!("../../prompts/hint.md")),
    ("hint_code", include_str!("../../prompts/hint_code.md")),
    ("project", include_str!("../../prompts/project.md")),
    ("project_again", include_str!("../../prompts/project_again.md")),
    ("project_explore", include_str!("../../prompts/project_explore.md")),
    ("project_output", include_str!("../../prompts/project_output.md")),
    ("project_system", include_str!("../../prompts/project_system.md")),
    ("project_tools", include_str!("../../prompts/project_tools.md")),
    ("project_warning", include_str!("../../prompts/project_warning.md")),
    ("revise_crash", include_str!("../../prompts/revise_crash.md")),
    ("revise_wrong", include_str!("../../prompts/revise_wrong.md")),
    ("serve_tools", include_str!("../../prompts/serve_tools.md")),
    ("system", include_str!("../../prompts/system.md")),
    ("task", include_str!("../../prompts/task.md")),
];

/// What the tiny model was trained on, word for word. A name that is missing here falls back to the
/// default set.
pub(super) const NANO: &[Row] = &[
    ("hint", include_str!("../../prompts/nano/hint.md")),
    ("hint_code", include_str!("../../prompts/nano/hint_code.md")),
    ("project", include_str!("../../prompts/nano/project.md")),
    ("project_system", include_str!("../../prompts/nano/project_system.md")),
    ("revise_crash", include_str!("../../prompts/nano/revise_crash.md")),
    ("revise_wrong", include_str!("../../prompts/nano/revise_wrong.md")),
    ("system", include_str!("../../prompts/nano/system.md")),
    ("task", include_str!("../../prompts/nano/task.md")),
];
