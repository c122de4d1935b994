//! What the time of a refusal tells of a key: nothing that a t-test finds.
//!
//! Two kinds of wrong keys in a random order, each made before the clock is looked at, and Welch's t over their times, as
//! dudect has it (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?"). Figures are printed and never
//! asserted: whose machine is busy would fail. `NEXUS_LITE_SOAK=500` is the run of which SECURITY.md speaks.

use std::hint::black_box;

use nexus_lite::auth::AuthIndex;
use nexus_lite::model::time::monotonic;
use nexus_lite::model::{OsRandom, RandomSource as _};

use crate::harness::measure::load_average;
use crate::harness::process::soak;
use crate::harness::world::{Who, World};

/// Calls of each pair of kinds in CI.
const CALLS: u64 = 2_000;
/// Below it dudect speaks of no leak.
const T_MAX: f64 = 4.5;
/// Of all times the longest are left out: somebody else's work on the same processor.
const KEPT: [f64; 3] = [1.0, 0.99, 0.9];
/// The random part of a key, letters.
const SECRET_HEX: usize = 64;

/// Makes wrong keys of one kind.
type Kind<'a> = &'a dyn Fn() -> String;

/// Mean and variance as values come, by Welford.
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    /// The variance of the mean.
    fn spread(&self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }
}

/// Welch's t of the times up to the `share` of all.
fn welch(times: &[(bool, u64)], share: f64) -> f64 {
    let mut sorted: Vec<u64> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into a list in memory")]
    let limit = sorted[((sorted.len() - 1) as f64 * share) as usize];
    let mut of = [Moments::default(), Moments::default()];
    for (kind, time) in times.iter().filter(|(_, time)| *time <= limit) {
        of[usize::from(*kind)].add(*time as f64);
    }
    (of[0].mean - of[1].mean) / (of[0].spread() + of[1].spread()).sqrt()
}

#[test]
fn the_t_test_finds_a_difference_that_is_there() {
    let noise = |at: u64| blake3::hash(&at.to_le_bytes()).as_bytes()[0];
    let times = |more: u64| -> Vec<(bool, u64)> {
        (0..4_000).map(|at| (at % 2 == 0, 1_000 + u64::from(noise(at)) + if at % 2 == 0 { more } else { 0 })).collect()
    };
    assert!(welch(&times(0), 1.0).abs() < T_MAX, "{}", welch(&times(0), 1.0));
    assert!(welch(&times(30), 1.0) < -T_MAX, "{}", welch(&times(30), 1.0));
}

#[tokio::test]
async fn the_time_of_a_refusal_tells_nothing_of_a_key() {
    let world = World::new().await;
    let hex = |chars: usize| {
        let mut bytes = vec![0; chars / 2];
        OsRandom.fill(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let valid = world.key(Who::Alice).expect("a key").to_owned();
    let (head, secret) = valid.rsplit_once('_').expect("a key has parts");
    assert_eq!(secret.len(), SECRET_HEX, "the key ends with it");
    let (tenant_user, id) = head.rsplit_once('_').expect("a key names itself");
    let (most, id_chars) = (&secret[..SECRET_HEX - 4], id.len());
    let other = "z".repeat(tenant_user.len() - "sk-".len());
    // The ends of a key are drawn anew each time: no processor learns one.
    let known = || format!("{head}_{}", hex(SECRET_HEX));
    let nearly = || {
        let ends = [hex(SECRET_HEX), hex(SECRET_HEX)];
        let end = ends.iter().map(|end| &end[..4]).find(|end| !secret.ends_with(end));
        format!("{head}_{most}{}", end.expect("two ends that are both the right one"))
    };
    let pairs: [(&str, Kind<'_>, Kind<'_>); 3] = [
        ("all but the last four letters right, or none of the last 64", &nearly, &known),
        ("tenant, user and id of a key that is there, or another id", &known, &|| {
            format!("{tenant_user}_{}_{}", hex(id_chars), hex(SECRET_HEX))
        }),
        ("tenant, user and id of a key that is there, or nobody's", &known, &|| {
            format!("sk-{other}_{}_{}", hex(id_chars), hex(SECRET_HEX))
        }),
    ];
    let calls = CALLS * soak();
    println!("load {}; {calls} refusals a row, |t| below {T_MAX} wanted", load_average());
    let now = world.store.clock().now_us();
    for (name, one, two) in pairs {
        let mut times = Vec::with_capacity(usize::try_from(calls).expect("in memory"));
        let mut coin = [0; 1];
        let hasher = &world.services.hasher;
        let published = world.store.published();
        let index: &AuthIndex = published.view();
        for _ in 0..calls {
            OsRandom.fill(&mut coin);
            let kind = coin[0] & 1 == 1;
            // The same is done before each call, whichever kind it is of: else the caches would tell them apart.
            let both = [two(), one()];
            let key = &both[usize::from(kind)];
            let began = monotonic();
            let answer = black_box(index.identify(black_box(key), None, now, hasher));
            let took = began.elapsed();
            assert!(answer.is_err(), "a wrong key was taken");
            times.push((kind, u64::try_from(took.as_nanos()).expect("short")));
        }
        let shown: Vec<String> = KEPT.iter().map(|share| format!("{:+.2}", welch(&times, *share))).collect();
        println!("t {} (all, 99 %, 90 % of the times): {name}", shown.join(", "));
    }
    println!("load {}", load_average());
    world.close().await;
}
