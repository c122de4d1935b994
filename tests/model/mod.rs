//! The file tree against a plain model: random commands of people with different rights, restarts, and every answer
//! compared.
//!
//! `NEXUS_LITE_PROPERTY_SEED=s` plays the one sequence that a failure named, `NEXUS_LITE_SOAK=n` n times as many.

// What the rules say, from plain maps.
mod tree;
// Commands, given to both, and the comparison.
mod play;

use futures_util::future::join_all;
use nexus_lite::model::time::monotonic;
use nexus_lite::service::files::ops::free_detached;
use serde_json::json;

use self::play::Play;
use crate::harness::engine;
use crate::harness::process::{number, soak};
use crate::harness::world::{Setup, Who, World};
use crate::property::random::Rng;
use crate::property::seed_of;

/// Sequences in CI.
const SEQUENCES: u64 = 2_000;
/// Likewise where each statement is a journey.
const SEQUENCES_FAR: u64 = 40;
/// Sequences in one store, under way together: their commands share batches.
const TOGETHER: usize = 50;
/// Commands of a sequence on either side of its restart.
const COMMANDS: usize = 6;

#[tokio::test]
async fn the_server_and_the_model_agree() {
    let name = "the_server_and_the_model_agree";
    if let Some(seed) = number("NEXUS_LITE_PROPERTY_SEED") {
        play(&[seed]).await;
        return;
    }
    let sequences = soak() * if engine::is_postgres() { SEQUENCES_FAR } else { SEQUENCES };
    let mut seeds = Rng::new(seed_of(name));
    let seeds: Vec<u64> = (0..sequences).map(|_| seeds.next()).collect();
    let (mut ended, mut comparisons) = ([0; 3], 0);
    let began = monotonic();
    for seeds in seeds.chunks(TOGETHER) {
        for play in play(seeds).await {
            (0..3).for_each(|kind| ended[kind] += play.ended[kind]);
            comparisons += play.comparisons;
        }
    }
    let [done, denied, refused] = ended;
    eprintln!(
        "{name}: {sequences} sequences, {done} commands done, {denied} denied, {refused} refused, {comparisons} comparisons, \
         {:?}",
        began.elapsed()
    );
    assert!(ended.iter().all(|kind| *kind >= sequences), "every kind of end was met: {ended:?}");
}

/// Plays the sequences of these seeds in a store of their own, with a restart in the middle.
async fn play(seeds: &[u64]) -> Vec<Play> {
    let mut world = World::with(Setup { injected: false, ..Setup::default() }).await;
    let mut plays = join_all(seeds.iter().map(|seed| Play::begin(&world, *seed))).await;
    join_all(plays.iter_mut().map(|play| play.go_on(&world, COMMANDS))).await;
    compare_use(&world, &plays).await;
    let (path, keys) = (world.path().to_owned(), world.keys());
    let dir = world.close().await;
    world = World::again(&path, Setup { injected: false, ..Setup::default() }, keys).await;
    world.keep(dir);
    join_all(plays.iter_mut().map(|play| play.go_on(&world, COMMANDS))).await;
    join_all(plays.iter_mut().map(|play| play.end(&world))).await;
    compare_use(&world, &plays).await;
    world.close().await;
    plays
}

/// What the tenant has, against the files of all trees in its store.
async fn compare_use(world: &World, plays: &[Play]) {
    free_detached(world.store.clone()).await;
    let said = world.rpc(Who::Admin, "admin_get_quota", json!({})).await.expect("an answer");
    let (files, bytes) = plays.iter().map(Play::uses).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let seeds: Vec<u64> = plays.iter().map(|play| play.seed).collect();
    assert_eq!((&said["files_used"], &said["bytes_used"]), (&json!(files), &json!(bytes)), "seeds {seeds:?}");
}
