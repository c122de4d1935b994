//! Runs random cases: always the same ones, one of a given seed, or fresh ones for some minutes.
//!
//! `NEXUS_LITE_PROPERTY_MINUTES=n` runs each suite for n minutes from a fresh seed, `NEXUS_LITE_PROPERTY_SEED=s` runs
//! the one case that a failure named.

use std::hash::BuildHasher;
use std::time::Duration;

use super::monotonic;
use super::random::Rng;

/// What was compared. Printed by every suite, and none may be zero.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) cases: u64,
    pub(crate) comparisons: u64,
    pub(crate) allows: u64,
    pub(crate) denies: u64,
    pub(crate) unknowns: u64,
}

impl Figures {
    pub(crate) fn count(&mut self, answer: Option<bool>) {
        self.comparisons += 1;
        match answer {
            Some(true) => self.allows += 1,
            Some(false) => self.denies += 1,
            None => self.unknowns += 1,
        }
    }
}

/// A suite's first seed where none is given: that of its name.
pub(crate) fn seed_of(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?.into_string().expect("a number");
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Runs `case` on one seed after the other until `cases` are done, or as the environment says. Panics at the first
/// failure, with the seed that repeats it.
pub(crate) fn run(name: &str, cases: u64, mut case: impl FnMut(u64, &mut Figures) -> Result<(), String>) -> Figures {
    let minutes = setting("NEXUS_LITE_PROPERTY_MINUTES");
    let mut figures = Figures::default();
    let mut one = |seed: u64, figures: &mut Figures| {
        if let Err(failure) = case(seed, figures) {
            panic!("{name}: {failure}\nrepeat it with NEXUS_LITE_PROPERTY_SEED={seed} cargo test {name}");
        }
    };
    if let Some(seed) = setting("NEXUS_LITE_PROPERTY_SEED") {
        eprintln!("{name}: seed {seed} alone");
        one(seed, &mut figures);
        return figures;
    }
    let first = minutes.map_or_else(|| seed_of(name), |_| std::hash::RandomState::new().hash_one(name));
    eprintln!("{name}: first seed {first}");
    let mut seeds = Rng::new(first);
    let (start, time) = (monotonic(), minutes.map(|minutes| Duration::from_secs(minutes * 60)));
    while time.map_or(figures.cases < cases, |time| start.elapsed() < time) {
        one(seeds.next(), &mut figures);
    }
    eprintln!("{name}: {figures:?}");
    let none = [figures.cases, figures.comparisons, figures.allows, figures.denies].contains(&0);
    assert!(!none, "{name} compared nothing of some sort: {figures:?}");
    figures
}
