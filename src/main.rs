//! The binary. Everything is in the library.

use std::process::ExitCode;

/// Takes its memory in large pages, where the system gives them to who asks: a walk of the permission graph otherwise spends
/// a third of its time on page table entries that the processor has forgotten.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(nexus_lite::cli::main(std::env::args_os()))
}
