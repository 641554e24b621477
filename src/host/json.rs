//! JSON for programs: one object at the end, or a line for every event. The schema is `docs/json.md`.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Show;
use crate::error::Exit;
use crate::event::Event;
use crate::task::Outcome;

/// Version of the objects' shape. Fields may be added within a version, never changed or removed.
pub const SCHEMA_VERSION: u32 = 1;

/// One object at the end.
#[derive(Debug)]
pub struct Json {
    pub task_id: String,
    warnings: Vec<String>,
    model: Option<String>,
    budget: Value,
}

impl Json {
    pub const fn new(task_id: String) -> Self {
        Self { task_id, warnings: Vec::new(), model: None, budget: Value::Null }
    }
}

impl Show for Json {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Warning { text } => self.warnings.push(text.clone()),
            Event::Ready { model, .. } => self.model = Some(model.clone()),
            Event::Classified { complexity, budget } => {
                self.budget = json!({ "complexity": complexity, "budget": budget });
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, outcome: &Outcome, exit: Exit) -> io::Result<()> {
        let mut object = result(&self.task_id, outcome, exit);
        object["model"] = json!(self.model);
        object["classified"] = self.budget.clone();
        object["warnings"] = json!(self.warnings);
        line(&object)
    }
}

/// A line for every event, and the result as the last one.
#[derive(Debug)]
pub struct Stream {
    pub task_id: String,
}

impl Show for Stream {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        // The outcome comes with its exit code as the last line.
        if matches!(event, Event::Ended { .. }) {
            return Ok(());
        }
        let mut object = json!({ "version": SCHEMA_VERSION });
        if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), json!(event)) {
            object.extend(fields);
        }
        line(&object)
    }

    fn end(&mut self, outcome: &Outcome, exit: Exit) -> io::Result<()> {
        line(&result(&self.task_id, outcome, exit))
    }
}

fn result(task_id: &str, outcome: &Outcome, exit: Exit) -> Value {
    let mut object = json!({ "version": SCHEMA_VERSION, "type": "result", "task_id": task_id, "exit": exit.code() });
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), json!(outcome)) {
        object.extend(fields);
    }
    object
}

fn line(object: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{object}")?;
    stdout.flush()
}
