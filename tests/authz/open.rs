//! The matrix of a server that asks for no key: who says to be somebody gets what that one gets by his relations, and
//! nobody gets what an admin gets.

use nexus_lite::cli::load::wire::{envelope, request};

use super::*;
use crate::harness::client::Client;

/// Who a request says to be.
struct Claim {
    headers: &'static [(&'static str, &'static str)],
    /// In whose column the answers are.
    column: Who,
    /// A name that is an admin's where keys are asked for: what he owns is his, and so only the methods of admins tell.
    of_admin: bool,
}

const fn claim(headers: &'static [(&'static str, &'static str)], column: Who) -> Claim {
    Claim { headers, column, of_admin: false }
}

const CLAIMS: [Claim; 8] = [
    // Nobody says anything: user:anonymous.
    claim(&[], Stranger),
    claim(&[("X-Nexus-Subject", "user:alice")], Owner),
    // Of a key only what it says is looked at.
    claim(&[("Authorization", "Bearer sk-default_bob_11111111_2222")], Viewer),
    claim(&[("X-Nexus-Subject", "user:alice"), ("X-Agent-ID", "alice,Helper")], Agent),
    claim(&[("X-Nexus-Subject", "user:alice"), ("X-Nexus-Tenant-ID", "acme")], OtherUser),
    Claim { headers: &[("X-Nexus-Subject", "user:admin")], column: Stranger, of_admin: true },
    Claim { headers: &[("X-Nexus-Subject", "user:root")], column: Stranger, of_admin: true },
    Claim {
        headers: &[("X-Nexus-Subject", "user:admin"), ("X-Nexus-Tenant-ID", "acme")],
        column: OtherUser,
        of_admin: true,
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_everybody_gets_what_he_says_to_be_and_no_admin_is_there() {
    let world = world().await;
    let server = Server::with(&world, |state| state.open_access = true);
    let mut client = Client::new(server.address(), None);
    let mut wrong = Vec::new();
    for (row, method) in table::ROWS.iter().flat_map(|row| names_of(row).map(move |method| (row, method))) {
        let entry = METHODS.iter().find(|entry| entry.name == row.method);
        let access = entry.expect("every_method_has_a_row says so").access;
        let mut scene = Scene::new(&world, row, method, 0).await;
        for (number, claim) in (1..).zip(&CLAIMS) {
            if claim.of_admin && access != Access::Admin {
                continue;
            }
            let params = (row.params)(&scene);
            let mut headers = vec![("Content-Type", "application/json")];
            headers.extend(claim.headers);
            let bytes = request("POST", &format!("/api/nfs/{method}"), &headers, &envelope(1, method, &params));
            let answer = client.exchange(&bytes).expect("an answer").rpc();
            let after = world.head().await;
            let cell = format!("{method} by {:?} with {params}", claim.headers);
            let outcome = row.outcomes.0[column(claim.column)];
            if let Some(what) = unlike(outcome, &answer) {
                wrong.push(format!("{cell}: {what}"));
            }
            if outcome != Yes {
                let (said, sent) = (said(&answer), params.to_string());
                for secret in scene.secrets.iter().filter(|s| !sent.contains(*s) && said.contains(*s)) {
                    wrong.push(format!("{cell}: the answer reveals {secret:?}: {said}"));
                }
                if after != scene.rev {
                    wrong.push(format!("{cell}: nothing was allowed, and yet the revision moved"));
                }
            }
            if access == Access::Admin && answer.is_ok() {
                wrong.push(format!("{cell}: a method of admins answered: {answer:?}"));
            }
            if after != scene.rev {
                scene = Scene::new(&world, row, method, 100 + number).await;
            }
        }
    }
    server.stop().await;
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
