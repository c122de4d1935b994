//! Each guarantee taken out on purpose: the check of it must notice.
//!
//! The checks are those of the ordinary tests, which run them with nothing taken out and want the opposite.

use nexus_lite::store::{FaultPoint, Mutation};

use super::power::{self, Run};
use crate::authz::races::{self, Cut};
use crate::cache::new_enemy;
use crate::store::publish;

/// Images made for one mutation.
const IMAGES: usize = 120;
/// Commands of their run.
const COMMANDS: usize = 100;
/// Runs until one shows it.
const RUNS_MAX: usize = 20;

const PAGE: &str = include_str!("README.md");
const VARIANTS: &str = include_str!("../../src/store/mutation.rs");

/// The ordinary test that the mutation breaks: its file and its name.
fn noticed_by(mutation: Mutation) -> (&'static str, &'static str) {
    const POWER: (&str, &str) = (include_str!("power.rs"), "nothing_acknowledged_is_lost_when_the_power_goes");
    match mutation {
        Mutation::NormalInsteadOfFull | Mutation::NoDirectorySync => POWER,
        Mutation::ReplyBeforeCommit | Mutation::PublishAfterReply => {
            (include_str!("../store/publish.rs"), "nobody_is_answered_before_commit_and_publish")
        }
        Mutation::NoSecondCheck => (include_str!("../authz/races.rs"), "what_waits_is_refused_when_its_right_is_gone"),
        Mutation::RingOfOne => {
            (include_str!("../cache/new_enemy.rs"), "a_new_grantee_never_gets_what_was_there_before")
        }
    }
}

/// What the images show of a run without the guarantee. A reply that comes before COMMIT is noticed only where its
/// client ran before the writer went on, which a busy machine may deny it for a whole run.
fn images(mutation: Mutation) -> power::Found {
    let run = || Run { commands: COMMANDS, images: IMAGES, mutation: Some(mutation), ..Run::control() };
    let mut shown = (0..RUNS_MAX).filter_map(|_| power::check(run(), power::seed()).err());
    shown.next().unwrap_or_else(|| panic!("the images of {RUNS_MAX} runs do not show {mutation:?}"))
}

#[test]
fn a_reply_before_commit_is_noticed_when_the_power_goes() {
    assert!(images(Mutation::ReplyBeforeCommit).lost > 0);
}

#[tokio::test]
async fn a_reply_before_commit_is_noticed_by_the_order() {
    let early = publish::answered_after(FaultPoint::BeforeCommit, Some(Mutation::ReplyBeforeCommit)).await;
    early.expect_err("answered before COMMIT");
}

#[tokio::test]
async fn a_publish_after_the_reply_is_noticed() {
    let point = FaultPoint::AfterCommitBeforePublish;
    let early = publish::answered_after(point, Some(Mutation::PublishAfterReply)).await;
    early.expect_err("answered before the publish");
}

#[test]
fn normal_instead_of_full_is_noticed() {
    let found = images(Mutation::NormalInsteadOfFull);
    assert!(found.lost > 0 && found.corrupt == 0, "{found:?}");
}

#[test]
fn a_missing_sync_of_directories_is_noticed() {
    assert!(images(Mutation::NoDirectorySync).lost > 0);
}

#[tokio::test]
async fn a_missing_second_check_is_noticed() {
    for one_batch in [true, false] {
        let done = races::race(Cut::Tuple, one_batch, Some(Mutation::NoSecondCheck)).await;
        assert_eq!(done, Err("it was done".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_of_one_is_noticed() {
    let got = new_enemy::new_grantee(Some(Mutation::RingOfOne)).await;
    got.expect_err("it was answered by a later revision than its own");
}

#[test]
fn every_mutation_is_on_the_page_with_its_test() {
    let variants = VARIANTS.split("pub enum Mutation {").nth(1).and_then(|rest| rest.split('}').next());
    let count = variants.expect("the list").lines().filter(|line| line.trim_end().ends_with(',')).count();
    assert_eq!(Mutation::ALL.len(), count, "ALL is all");
    for mutation in Mutation::ALL {
        let (file, test) = noticed_by(mutation);
        assert!(file.contains(&format!("fn {test}()")), "{mutation:?}: there is no {test}");
        let row = PAGE.lines().find(|line| line.starts_with(&format!("| `{mutation:?}`")));
        let row = row.unwrap_or_else(|| panic!("{mutation:?} has no row on the page"));
        assert!(row.contains(test), "{mutation:?}: {test} is not on the page: {row}");
    }
}
