//! Skills put together by chance from pieces that matter: names at the borders, values of every form, fields more and less.

use nexus_lite::model::random::{RandomSource as _, SeededRandom};

use super::{Skill, compare};
use crate::harness::process::soak;

/// Skills of one run.
const SKILLS: usize = 500;
/// Where chance begins.
const SEED: u64 = 20_261_122;
/// Of all, at least so many must be valid, and at least so many must not: else nothing is compared.
const EACH_MIN: usize = 40;

const NAMES: &[&str] = &[
    "a",
    "pdf-tools",
    "x1",
    "1x",
    "技能",
    "навык",
    "café",
    "Über",
    "A",
    "a_b",
    "a b",
    "-a",
    "a-",
    "a--b",
    "a.b",
    "ﬁx",
    "ª",
    "straße",
    "日本-語",
    "a/b",
    "'quoted'",
    "\"double\"",
    "",
];
const TEXTS: &[&str] = &[
    "Reads tables",
    "Use when: always",
    "a - b",
    "it's",
    "'single'",
    "\"double\"",
    "\"esc \\n \\u00e9\"",
    "|\n  literal\n  lines",
    ">-\n  folded\n  lines",
    "more\n  lines\n  here",
    "[flow]",
    "{a: b}",
    "&anchor x",
    "*alias",
    "!tag x",
    "# comment",
    "a # comment",
    "",
    "''",
    "null",
    "true",
    "1.10",
    "2026-01-02",
    "\n  - one\n  - two",
    "\n  key: value",
    "@at",
    "`tick`",
    "%per",
    "x: y",
    "-",
    "- x",
    "? q",
    "ends:",
    ": starts",
    "a,b",
    "]",
    "tab\there",
    "é 🙂",
    "--",
    "a---b",
    ">",
    "|",
    "'open",
    "\"open",
];
const FIELDS: &[&str] =
    &["license", "compatibility", "allowed-tools", "metadata", "version", "author", "tags", "Name", "x y", "ü"];

struct Chance(SeededRandom);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % limit as u64).expect("below a small limit")
    }

    fn one(&mut self, of: &[&str]) -> String {
        of[self.below(of.len())].to_owned()
    }

    /// Mostly a plain text, so that some skills are valid.
    fn text(&mut self) -> String {
        match self.below(10) {
            0..=5 => format!("Text number {}", self.below(1_000)),
            6 => "x".repeat([1_023, 1_024, 1_025, 499, 500, 501][self.below(6)]),
            _ => self.one(TEXTS),
        }
    }

    fn skill(&mut self) -> Skill {
        let name = match self.below(4) {
            0 => self.one(NAMES),
            1 => "n".repeat(60 + self.below(8)),
            _ => format!("skill-{}", self.below(1_000)),
        };
        let directory = match self.below(6) {
            0 => "elsewhere".to_owned(),
            _ => name.trim_matches(['"', '\'']).replace('/', "-"),
        };
        let mut lines = vec![format!("name: {name}"), format!("description: {}", self.text())];
        for _ in 0..self.below(3) {
            let (field, text) = (self.one(FIELDS), self.text());
            let at = self.below(lines.len() + 1);
            lines.insert(at, format!("{field}: {text}"));
        }
        match self.below(12) {
            0 => drop(lines.remove(self.below(lines.len()))),
            1 => lines.push(lines[self.below(lines.len())].clone()),
            2 => lines.insert(self.below(lines.len()), "# a comment".into()),
            3 => lines.insert(self.below(lines.len()), String::new()),
            4 => {
                let at = self.below(lines.len());
                lines[at] = format!(" {}", lines[at]);
            }
            _ => {}
        }
        let front = lines.join("\n");
        let text = match self.below(20) {
            0 => format!("--- \n{front}\n--- \nBody"),
            1 => format!("---\n{front}\n").replace('\n', "\r\n") + "---\r\nBody",
            2 => format!("---\n{front}\n"),
            3 => format!("{front}\n---\n"),
            _ => format!("---\n{front}\n---\n\n# Body\n"),
        };
        (if directory.is_empty() { "d".to_owned() } else { directory }, text)
    }
}

#[test]
fn the_reference_says_the_same_of_generated_ones() {
    let soak = usize::try_from(soak()).expect("small");
    let mut chance = Chance(SeededRandom::new(SEED));
    let skills: Vec<Skill> = (0..SKILLS * soak).map(|_| chance.skill()).collect();
    if let Some((valid, invalid)) = compare(&skills) {
        assert!(valid >= EACH_MIN && invalid >= EACH_MIN, "{valid} valid and {invalid} invalid");
    }
}
