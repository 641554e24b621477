//! Public problems put to a model: the same problems by several arms, each answer judged by running it (or, where it is
//! mathematics or a letter, by comparing it), everything kept as it ends.
//!
//! [`arm`] says what the arms are, [`ask`] turns a problem into a request, [`judge`] an answer into an outcome
//! ([`letter`] reads options),
//! [`run`] does many side by side, [`store`] keeps them, [`report`] and [`compare`] say what they come to;
//! [`difficulty`] says what of it could be foretold.
//!
//! Not for: reading the suites' files and judging programs (`verify`).

pub mod arm;
pub mod ask;
pub mod compare;
pub mod difficulty;
pub mod judge;
pub mod letter;
pub mod record;
pub mod report;
pub mod run;
pub mod store;
pub mod vote;
