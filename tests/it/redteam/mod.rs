//! The attack list as tests, named by what each attacks.

mod judge;
