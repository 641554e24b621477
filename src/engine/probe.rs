//! How probable each of a few texts is as the next one: one prefill, no sampling.
//!
//! Not for: generations (`worker.rs`).

use super::model::{BatchToken, Decoded, TokenModel};
use super::sample::log_sum_exp;
use super::session::Branch;
use super::worker::Worker;
use super::{EngineError, SessionId, TokenId};
use crate::cancel::Cancel;
use crate::prompt::Rendered;

/// A prompt that is decoded but for its last token.
struct Trunk {
    branch: Branch,
    last: TokenId,
}

impl<M: TokenModel> Worker<M> {
    /// How probable each of `choices` is as the next text, as log-probabilities that are normalised over
    /// the choices. Nothing of it stays in the cache.
    pub(super) fn choose(
        &mut self,
        prompt: &Rendered,
        choices: &[String],
        cancel: &Cancel,
    ) -> Result<Vec<f32>, EngineError> {
        let id = SessionId::PROBE;
        let tokens = self.tokenize_for(id, prompt);
        self.room(&tokens, 1)?;
        let branch = self.trunk(id, &tokens);
        let mut trunk = Trunk { branch, last: *tokens.last().expect("invariant: an empty prompt has no room") };
        let decoded = self.decode_prompt(&mut trunk.branch, &tokens[..tokens.len() - 1], cancel);
        let outcome = decoded.and_then(|()| {
            choices.iter().map(|choice| self.score(&trunk, choice, cancel)).collect::<Result<Vec<f32>, _>>()
        });
        self.release(trunk.branch.sequence);
        self.end(id);
        let scores = outcome?;
        let total = log_sum_exp(&scores);
        Ok(scores.into_iter().map(|score| score - total).collect())
    }

    /// Decodes what the branch does not have of `tokens`.
    pub(super) fn decode_prompt(
        &mut self,
        branch: &mut Branch,
        tokens: &[TokenId],
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        while branch.tokens.len() < tokens.len() {
            let end = tokens.len().min(branch.tokens.len() + self.model.batch_tokens_max());
            self.decode_on(branch, &tokens[..end], false, cancel)?;
        }
        Ok(())
    }

    /// Decodes what the branch does not have of `tokens`, in one batch; `logits` after each of them or after none.
    pub(super) fn decode_on(
        &mut self,
        branch: &mut Branch,
        tokens: &[TokenId],
        logits: bool,
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        let (done, sequence) = (branch.tokens.len(), branch.sequence);
        let batch: Vec<BatchToken> = (done as u32..)
            .zip(&tokens[done..])
            .map(|(position, &token)| BatchToken { token, position, sequence, logits })
            .collect();
        self.decode_probe(&batch, cancel)?;
        branch.tokens.extend_from_slice(&tokens[done..]);
        Ok(())
    }

    fn decode_probe(&mut self, batch: &[BatchToken], cancel: &Cancel) -> Result<(), EngineError> {
        loop {
            if cancel.is_cancelled() {
                return Err(EngineError::Decode("nobody waits for it any more".to_owned()));
            }
            match self.model.decode(batch, std::slice::from_ref(cancel))? {
                Decoded::Done => return Ok(()),
                Decoded::Full if self.make_room() => {}
                Decoded::Full => return Err(EngineError::Decode("the cache is full".to_owned())),
                Decoded::Aborted => {}
            }
        }
    }

    /// The log-probability of `choice` after the trunk and its held-back token.
    fn score(&mut self, trunk: &Trunk, choice: &str, cancel: &Cancel) -> Result<f32, EngineError> {
        let wanted = self.vocabulary.tokenize(choice, false);
        // Each decoded token predicts the next one; the choice's last token need not be decoded.
        let decoded = std::iter::once(trunk.last).chain(wanted.iter().rev().skip(1).rev().copied());
        let first = trunk.branch.tokens.len() as u32;
        let sequence = self.allocate();
        self.model.copy_sequence(trunk.branch.sequence, sequence, first);
        let batch: Vec<BatchToken> = (first..)
            .zip(decoded)
            .map(|(position, token)| BatchToken { token, position, sequence, logits: true })
            .collect();
        let outcome = if batch.len() > self.model.batch_tokens_max().min(self.model.batch_logits_max()) {
            Err(EngineError::Decode("a choice is too long to be weighed".to_owned()))
        } else {
            self.decode_probe(&batch, cancel)
        };
        let score = outcome.map(|()| {
            let logprob = |(row, &token): (usize, &TokenId)| {
                let logits = self.model.logits(row);
                logits[token as usize] - log_sum_exp(logits)
            };
            wanted.iter().enumerate().map(logprob).sum()
        });
        self.release(sequence);
        score
    }
}
