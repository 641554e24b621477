//! The terminal interface: transitions of the pure update, named states through an emulator that interprets
//! the real escapes, hostile input, and the real binary in a pseudo terminal.

mod emulator;
mod hostile;
mod pty;
mod pty_nano;
mod pty_offer;
mod pty_project;
mod states;
mod update;
