//! What the reference's own tests are about, and what YAML has for surprises.

use super::{Skill, compare};

fn skill(directory: &str, front: &str) -> Skill {
    (directory.to_owned(), format!("---\n{front}\n---\n# Body\n"))
}

/// The cases of the reference's own tests, in words of ours.
fn of_the_reference() -> Vec<Skill> {
    let long = "a".repeat(70);
    let described = |text: &str| format!("name: s\ndescription: {text}");
    vec![
        skill("s", "name: s\ndescription: d"),
        skill("Big", "name: Big\ndescription: d"),
        skill(&long, &format!("name: {long}\ndescription: d")),
        skill("-s", "name: -s\ndescription: d"),
        skill("s-", "name: s-\ndescription: d"),
        skill("a--b", "name: a--b\ndescription: d"),
        skill("a_b", "name: a_b\ndescription: d"),
        skill("other", "name: s\ndescription: d"),
        skill("s", "name: s\ndescription: d\nunknown: x"),
        skill("s", "name: s\ndescription: d\nlicense: MIT\nmetadata:\n  author: A\n  version: 1.0"),
        skill("s", "name: s\ndescription: d\nallowed-tools: Bash(jq:*) Bash(git:*)"),
        skill("技能", "name: 技能\ndescription: d"),
        skill("мой-навык", "name: мой-навык\ndescription: d"),
        skill("НАВЫК", "name: НАВЫК\ndescription: d"),
        skill("s", &described(&"x".repeat(1_100))),
        skill("s", "name: s\ndescription: d\ncompatibility: Needs Python 3.11+"),
        skill("s", &format!("name: s\ndescription: d\ncompatibility: {}", "x".repeat(550))),
        // A letter and a mark in the one, one letter in the other.
        skill("caf\u{e9}", "name: cafe\u{301}\ndescription: d"),
        skill("cafe\u{301}", "name: caf\u{e9}\ndescription: d"),
        skill("s", "description: d"),
        skill("s", "name: s"),
        skill("s", "name: [s\ndescription: d"),
        skill("s", "- a\n- list"),
        ("s".into(), "# no front matter".into()),
        ("s".into(), "---\nname: s\ndescription: d\n".into()),
        ("s".into(), String::new()),
    ]
}

/// What else one may write.
fn tricky() -> Vec<Skill> {
    let fronts = [
        "name: s\ndescription: ''",
        "name: ''\ndescription: d",
        "name:\ndescription:",
        "name: ~\ndescription: null",
        "name: 'S'\ndescription: \"d\"",
        "name: 1\ndescription: 2",
        "name: s\ndescription: a: b",
        "name: s\ndescription: 'a: b'",
        "name: s\ndescription: ends:",
        "name: s\ndescription: a #b",
        "name: s\ndescription: '#b'",
        "name: s\ndescription: |\n  one\n  two",
        "name: s\ndescription: >\n  one\n  two\n\n  three",
        "name: s\ndescription: >-\n  one\n  two",
        "name: s\ndescription: one\n  two\n  three",
        "name: s\ndescription:\n  - a\n  - b",
        "name: s\ndescription:\n  a: b",
        "name:\n  - s\ndescription: d",
        "name: s\ndescription: d\ncompatibility:\n  - a",
        "name: s\ndescription: d\ncompatibility: ''",
        "name: s\ndescription: d\nlicense:\n  - a\n  - b",
        "name: s\ndescription: d\nmetadata: text",
        "name: s\ndescription: d\nmetadata:\n  - a",
        "name: s\ndescription: d\nmetadata: {a: b}",
        "name: s\ndescription: [a]",
        "name: s\ndescription: {a: b}",
        "name: &x s\ndescription: *x",
        "name: &x s\ndescription: d",
        "name: s\ndescription: *nobody",
        "name: !!str s\ndescription: d",
        "name: s\ndescription: !x d",
        "name: s\nname: s\ndescription: d",
        "name: s\ndescription: d\nmetadata:\n  a: 1\n  a: 2",
        "name: s\ndescription: d\nmetadata:\n  a:\n    b: 1\n  c:\n      d: 1",
        "name: s\ndescription: d\nb: x\na: y\nversion: 1",
        "name: s\n description: d",
        "name: s\n\tdescription: d",
        "\tname: s\ndescription: d",
        "name: s\ndescription:\td",
        "name: s\ndescription: @d",
        "name: s\ndescription: `d`",
        "name: s\ndescription: %d",
        "name: s\ndescription: 'open",
        "name: s\ndescription: \"bad \\q escape\"",
        "name: s\ndescription: \"\\u00e9\\t\\x41\"",
        "name: s\ndescription: d - e",
        "name: s\ndescription: - e",
        "name: s\ndescription: d --- e",
        "name: s\ndescription: d -- e",
        "name: \"a--b\"\ndescription: d",
        "# only a comment",
        "",
        "text",
        "name: s\n# comment\ndescription: d # end",
        "name: s\ndescription: d\n...",
        "name: s\ndescription: d\n...\nmore: x",
        "name : s\ndescription : d",
        "name:s\ndescription:d",
        "\"name\": s\n'description': d",
        "? name\n: s\n? description\n: d",
        "name: s\ndescription: yes",
        "name: s\ndescription: 2026-01-01",
        "name: s\ndescription: 0x1F",
        "name: s\ndescription: .inf",
        "name: s\ndescription: d\nmetadata:\n  on: yes\n  1: 2",
        "name:   s   \ndescription:   d   ",
        "name: ' s '\ndescription: d",
        "name: s\ndescription: \"   \"",
        "name: s\ndescription: d\n\n\n",
        "name: s\ndescription: d\nmetadata:\n\n  a: b",
        "name: s\ndescription: |+\n  x\n\n",
        "name: s\ndescription: d\nallowed-tools:\n  - Read\n  - Write",
        "<<: x\nname: s\ndescription: d",
        "name: s\ndescription: a,b [c] {d}",
        "name: s\ndescription: ]",
        "name: s\ndescription: a\n\n  b",
        "name: s\ndescription: 'it''s'",
        "name: s\ndescription: it's",
        "name: s\ndescription: a\"b\"",
        "Name: s\nDescription: d",
    ];
    let mut skills: Vec<Skill> = fronts.iter().map(|front| skill("s", front)).collect();
    let names = [
        "ǅ",
        "ß",
        "ſ",
        "İ",
        "ı",
        "Σ",
        "ς",
        "ﬁ",
        "①",
        "Ⅷ",
        "ⅷ",
        "²",
        "½",
        "٣",
        "अ",
        "हि",
        "ก็",
        "🙂",
        "e\u{301}",
        "a b",
        "a.b",
        "a/b",
        "ᾳ",
        "ʰ",
        "々",
        "ー",
        "・",
        "-",
        "--",
        "a-1",
        "a\u{200d}b",
        "a\u{ad}b",
        "Ａ",
        "ａ",
        "１",
    ];
    for name in names {
        let directory = name.replace('/', "-");
        skills.push(skill(&directory, &format!("name: {name}\ndescription: d")));
    }
    let chars = |count: usize| "é".repeat(count);
    for count in [64, 65] {
        skills.push(skill(&chars(count), &format!("name: {}\ndescription: d", chars(count))));
    }
    for count in [1_024, 1_025] {
        skills.push(skill("s", &format!("name: s\ndescription: {}", chars(count))));
        skills.push(skill("s", &format!("name: s\ndescription: '  {}  '", chars(count - 4))));
    }
    for count in [500, 501] {
        skills.push(skill("s", &format!("name: s\ndescription: d\ncompatibility: {}", chars(count))));
    }
    skills
}

/// What is not between two fences, or in other lines.
fn fences() -> Vec<Skill> {
    let texts = [
        "---\r\nname: s\r\ndescription: d\r\n---\r\nBody\r\n",
        "---\rname: s\rdescription: d\r---\rBody",
        "--- \nname: s\ndescription: d\n---\n",
        "---\nname: s\ndescription: d\n--- \n",
        "---name: s\ndescription: d\n---",
        "---\nname: s\ndescription: d\n----\n",
        "----\nname: s\ndescription: d\n---\n",
        "\n---\nname: s\ndescription: d\n---\n",
        " ---\nname: s\ndescription: d\n---\n",
        "\u{feff}---\nname: s\ndescription: d\n---\n",
        "---\n---\n",
        "------",
        "---",
        "--",
        "---\nname: s\ndescription: d---",
        "---\nname: s\ndescription: \u{1}d\n---\n",
        "---\nname: s\ndescription: \u{7f}d\n---\n",
        "---\nname: s\ndescription: \u{85}d\n---\n",
        "---\nname: s\ndescription: \u{2028}d\n---\n",
        "---\nname: s\ndescription: a\u{0}d\n---\n",
        "---\nname: s\ndescription: \u{fffe}d\n---\n",
        "---\nname: s\ndescription: 🙂\n---\n",
        "---\nname: s\ndescription: d\n---\n---\n---\n",
    ];
    texts.iter().map(|text| ("s".to_owned(), (*text).to_owned())).collect()
}

#[test]
fn the_reference_says_the_same_of_its_own_cases() {
    compare(&of_the_reference());
}

#[test]
fn the_reference_says_the_same_of_tricky_ones() {
    compare(&tricky());
    compare(&fences());
}
