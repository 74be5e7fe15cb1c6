//! `imgimport`: the door. The story is told in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    imgimport::main()
}
