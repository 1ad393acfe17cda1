//! The one binary, `catena`.

use std::process::ExitCode;

fn main() -> ExitCode {
    catena_cli::main()
}
