//! The tests have teeth: every defect of [`Mutant`] is noticed by the random suites, none of which knows of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::mutant::{self, Mutant};
use super::cases::case;
use super::machine::history;
use super::random::{Flavour, Rng};
use super::runner::{Figures, seed_of};

/// Rounds over all suites that a defect may survive.
const ROUNDS: u32 = 600;
const STEPS: usize = 60;
const FLAVOURS: [Flavour; 3] = [Flavour::Free, Flavour::Defaults, Flavour::Inheriting];

/// The suite that notices, and how many cases and steps that took.
fn noticed(mutant: Mutant) -> Option<(&'static str, Figures)> {
    mutant::with(mutant, || {
        let mut figures = Figures::default();
        let mut seeds = Rng::new(seed_of(&format!("{mutant:?}")));
        for _ in 0..ROUNDS {
            for flavour in FLAVOURS {
                for (suite, is_case) in [("cases", true), ("history", false)] {
                    let seed = seeds.next();
                    let run = AssertUnwindSafe(|| match is_case {
                        true => case(flavour, seed, &mut figures),
                        false => history(flavour, seed, STEPS, &mut figures),
                    });
                    // A defect that ends in a panic is noticed too.
                    if !matches!(catch_unwind(run), Ok(Ok(()))) {
                        return Some((suite, figures));
                    }
                }
            }
        }
        None
    })
}

fn all_are_noticed(mutants: &[Mutant]) {
    let mut survived = Vec::new();
    for mutant in mutants {
        match noticed(*mutant) {
            Some((suite, figures)) => {
                println!("{mutant:?}: {suite}, {} cases, {} comparisons", figures.cases, figures.comparisons)
            }
            None => survived.push(mutant),
        }
    }
    assert!(survived.is_empty(), "nobody noticed {survived:?}");
}

#[test]
fn every_defect_is_noticed_first_half() {
    all_are_noticed(&Mutant::ALL[..Mutant::ALL.len() / 2]);
}

#[test]
fn every_defect_is_noticed_second_half() {
    all_are_noticed(&Mutant::ALL[Mutant::ALL.len() / 2..]);
}

#[test]
fn without_a_defect_nothing_is_noticed() {
    let mut seeds = Rng::new(seed_of("without a defect"));
    for flavour in FLAVOURS {
        case(flavour, seeds.next(), &mut Figures::default()).expect("a case without a defect");
        history(flavour, seeds.next(), STEPS, &mut Figures::default()).expect("a history without a defect");
    }
}

#[test]
fn every_defect_is_listed() {
    let page = include_str!("../../../tests/property/README.md");
    let listed = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: Vec<_> = listed.map(|(name, _)| name.to_owned()).filter(|name| !name.contains('.')).collect();
    let mut built: Vec<_> = Mutant::ALL.iter().map(|mutant| format!("{mutant:?}")).collect();
    let mut sorted = listed.clone();
    sorted.sort();
    built.sort();
    assert_eq!(sorted, built);
}
