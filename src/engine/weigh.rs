//! What a model thinks of a text that it is given as its own reply: one pass, and each token beside the likeliest others.
//!
//! Not for: generations (`worker.rs`), and what follows from it (the agent).

use super::model::TokenModel;
use super::sample::likeliest;
use super::worker::Worker;
use super::{EngineError, SessionId, TokenId};
use crate::cancel::Cancel;
use crate::prompt::Rendered;

/// One token of a text that a model was given, as it sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// The token that stands there.
    pub token: TokenId,
    /// Its log-probability (natural), at temperature 1.
    pub logprob: f32,
    /// The likeliest other tokens with their log-probabilities, the likeliest first.
    pub others: Vec<(TokenId, f32)>,
}

impl<M: TokenModel> Worker<M> {
    /// One [`Weighed`] for each token of `given` as the reply to `prompt`, with at most `others_max` others. What was decoded
    /// stays in the session, so that replies which begin as `given` does find it there.
    pub(super) fn weigh(
        &mut self,
        session: SessionId,
        prompt: &Rendered,
        given: &[TokenId],
        others_max: usize,
        cancel: &Cancel,
    ) -> Result<Vec<Weighed>, EngineError> {
        let mut tokens = self.tokenize_for(session, prompt);
        let first = tokens.len();
        tokens.extend(given);
        self.room(&tokens, 1)?;
        let mut branch = self.trunk(session, &tokens);
        // The logits after the prompt's last token are the first that are wanted.
        branch.tokens.truncate(first - 1);
        self.model.truncate_sequence(branch.sequence, branch.tokens.len() as u32);
        let mut all = Vec::with_capacity(given.len());
        let mut outcome = self.decode_prompt(&mut branch, &tokens[..first - 1], cancel);
        let rows = self.model.batch_tokens_max().min(self.model.batch_logits_max()).max(1);
        while outcome.is_ok() && all.len() < given.len() {
            let done = branch.tokens.len();
            // The last token predicts nothing that was given.
            let end = (done + rows).min(tokens.len() - 1);
            outcome = self.decode_on(&mut branch, &tokens[..end], true, cancel);
            if outcome.is_ok() {
                let row = |(row, &token): (usize, &TokenId)| weighed(self.model.logits(row), token, others_max);
                all.extend(tokens[done + 1..=end].iter().enumerate().map(row));
            }
        }
        self.model.truncate_sequence(branch.sequence, branch.tokens.len() as u32);
        self.sessions.touch(session).branches.push(branch);
        outcome.map(|()| all)
    }
}

fn weighed(logits: &[f32], token: TokenId, others_max: usize) -> Weighed {
    // The token itself may be among the likeliest.
    let (mut others, total) = likeliest(logits, others_max + 1);
    others.retain(|&(other, _)| other != token);
    others.truncate(others_max);
    for (_, logit) in &mut others {
        *logit -= total;
    }
    Weighed { token, logprob: logits[token as usize] - total, others }
}
