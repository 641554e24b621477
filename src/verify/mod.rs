//! Does a candidate hold: the judge outside the sandbox (J1), a project's own tests (J2), and feedback for the model.
//!
//! Not for: building walls or revising code.
