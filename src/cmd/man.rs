//! `z1 man`: prints the manual page, made from the same definitions as `--help`.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::error::Exit;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  z1 man | man -l -")]
pub struct Args {}

/// What scripts branch on; the same table is in the README.
const EXIT_CODES: &str = ".SH EXIT STATUS
.TP
0
verified, or unverified (which is said; see \\-\\-require\\-verified)
.TP
1
an error
.TP
2
a mistake in the arguments or settings
.TP
3
the best candidate failed its checks
.TP
4
no usable model
.TP
5
a limit was reached before there was a candidate
.TP
6
refused by the user or by a policy
.TP
130
interrupted
";

/// Prints the page and those of the subcommands.
///
/// # Errors
/// Where stdout cannot be written.
pub fn run(_args: &Args) -> anyhow::Result<Exit> {
    let mut page = Vec::new();
    let command = crate::cli::Cli::command();
    Man::new(command.clone()).render(&mut page)?;
    page.extend_from_slice(EXIT_CODES.as_bytes());
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = format!("z1 {}", sub.get_name());
        let man = Man::new(sub.clone().bin_name(name));
        page.extend_from_slice(format!(".SH z1 {}\n", sub.get_name()).as_bytes());
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
    }
    std::io::Write::write_all(&mut std::io::stdout(), &page)?;
    Ok(Exit::Success)
}
