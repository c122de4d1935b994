//! The binary. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(nexus_lite::cli::main(std::env::args_os()))
}
