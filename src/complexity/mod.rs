//! How hard is this task, and what may it spend: signals of the task and of the model, mapped to a budget in one table.
//!
//! Not for: generating, or deciding how to render a prompt.
