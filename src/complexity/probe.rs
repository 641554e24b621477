//! Asking the model itself how hard a task is: one prefill, no generation, read from its logits.

use serde::Serialize;

use crate::engine::{Engine, EngineError};
use crate::prompt::{Message, PromptError, Prompts, Rendered, Role};

/// Of a long task the probe reads the beginning and the end, this many bytes in all: a probe must stay
/// cheap beside the generation that it steers.
const PROMPT_BYTES_MAX: usize = 1600;

const CHOICES: [&str; 3] = ["simple", "moderate", "complex"];

/// The conversation that the probe shows the model.
///
/// # Errors
/// A `classify.md` that names an unknown variable.
pub fn messages(prompts: &Prompts, prompt: &str) -> Result<Vec<Message>, PromptError> {
    #[derive(Serialize)]
    struct Context<'a> {
        prompt: &'a str,
    }
    let shown = shortened(prompt);
    Ok(vec![Message::new(Role::User, prompts.render("classify", Context { prompt: &shown })?)])
}

/// The model's own probabilities of simple, moderate, complex.
///
/// # Errors
/// Whatever the engine could not do.
pub async fn probe(engine: &Engine, rendered: &Rendered) -> Result<[f32; 3], EngineError> {
    let logprobs = engine.choose(rendered, &CHOICES).await?;
    let mut probabilities = [1.0 / 3.0; 3];
    for (p, logprob) in probabilities.iter_mut().zip(&logprobs) {
        *p = logprob.exp();
    }
    let sum: f32 = probabilities.iter().sum();
    Ok(if sum.is_finite() && sum > 0.0 { probabilities.map(|p| p / sum) } else { [1.0 / 3.0; 3] })
}

fn shortened(prompt: &str) -> String {
    if prompt.len() <= PROMPT_BYTES_MAX {
        return prompt.to_owned();
    }
    let boundary = |at: usize| (0..=at).rev().find(|at| prompt.is_char_boundary(*at)).unwrap_or(0);
    let head = boundary(PROMPT_BYTES_MAX * 3 / 4);
    let tail = boundary(prompt.len() - PROMPT_BYTES_MAX / 4);
    format!("{}\n[…]\n{}", &prompt[..head], &prompt[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_task_is_shown_from_both_ends() {
        let long = format!("START{}ENDé", "é".repeat(5000));
        let shown = shortened(&long);
        assert!(shown.len() < PROMPT_BYTES_MAX + 20 && shown.starts_with("START") && shown.ends_with("ENDé"));
        let prompts = Prompts::load(crate::traits::PromptSet::Default, None).unwrap();
        assert!(messages(&prompts, &long).unwrap()[0].content.contains("START"));
    }
}
