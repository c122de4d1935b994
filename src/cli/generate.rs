//! `generate`: what the lists of methods and routes say of themselves, on standard output.
//!
//! Asks no server: the documents are those of this program.

use super::{Failure, print};
use crate::http;
use crate::rpc::{openrpc, reference};

/// Prints what is derived from the lists of methods and routes.
#[derive(Debug, clap::Args)]
pub struct Generate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The reference of all methods, as Markdown.
    Methods,
    /// The OpenAPI 3.1 document, as JSON.
    Openapi,
    /// The OpenRPC document, as JSON.
    Openrpc,
}

impl Generate {
    /// Prints it.
    pub fn run(&self) -> Result<(), Failure> {
        let pretty = |document: &serde_json::Value| format!("{document:#}\n");
        let text = match self.what {
            What::Methods => reference::markdown(),
            What::Openapi => pretty(&http::openapi()),
            What::Openrpc => pretty(&openrpc::document()),
        };
        print(&text)
    }
}
