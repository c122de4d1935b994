//! Cases as text: rules, tuples, and what must and must not follow. One reader and one runner for `namespace test` and
//! for the cases of this project.
//!
//! A question that is expected to be denied is asked as earnestly as one that is expected to be allowed, and unknown is
//! neither. A key that is not known is an error: a misspelt `assert_false` would assert nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::time::parse_iso;

use super::scratch::{Extra, Scratch, ScratchError};
use super::{Env, Verdict, Why};

/// Text that is no case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{case}{reason}")]
pub struct CaseError {
    /// The case, if it has a name, with `: `.
    case: String,
    /// What is wrong with it.
    reason: String,
}

/// One case.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    /// What it shows.
    name: String,
    /// Rules beside and instead of the built-in ones.
    namespaces: Map<String, Value>,
    /// `subject relation object`, or `{tuple, expires, condition}`.
    tuples: Vec<Value>,
    /// Files and who made them.
    owners: BTreeMap<String, String>,
    /// The time of the questions.
    now: Option<Value>,
    /// The context of the questions.
    context: Option<Map<String, Value>>,
    /// Questions to be answered yes.
    assert_true: Vec<String>,
    /// Questions to be answered no.
    assert_false: Vec<String>,
    /// Questions that cannot be decided.
    assert_unknown: Vec<String>,
    /// Tuples that a server must refuse.
    assert_refused: Vec<String>,
    /// Rules that a server must refuse.
    assert_refused_namespaces: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FullTuple {
    tuple: String,
    #[serde(default)]
    expires: Option<Value>,
    #[serde(default)]
    condition: Option<Value>,
}

/// An assertion that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The case; may be empty.
    pub case: String,
    /// What was asked.
    pub question: String,
    /// What was expected.
    pub expected: &'static str,
    /// What the engine said.
    pub said: String,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.case.is_empty() {
            write!(f, "{}: ", self.case)?;
        }
        write!(f, "{}: expected {}, the engine says {}", self.question, self.expected, self.said)
    }
}

/// What came of cases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Results {
    /// Cases run.
    pub cases: usize,
    /// Assertions looked at.
    pub assertions: usize,
    /// Those that do not hold.
    pub failed: Vec<Failed>,
    /// What in the rules is hardly meant: the type, and the warning.
    pub warnings: Vec<String>,
}

/// Reads the text of one case, or of `cases:` many. YAML, and so JSON too.
pub fn read(text: &str) -> Result<Vec<Case>, CaseError> {
    let fail = |reason: String| CaseError { case: String::new(), reason };
    let value: Value = serde_saphyr::from_str(text).map_err(|e| fail(e.to_string()))?;
    let many = value.get("cases").is_some();
    let cases = match many {
        true => serde_json::from_value::<Cases>(value).map(|all| all.cases),
        false => serde_json::from_value::<Case>(value).map(|one| vec![one]),
    };
    let cases = cases.map_err(|e| fail(e.to_string()))?;
    match cases.iter().find(|case| case.assertions() == 0) {
        Some(empty) => Err(empty.error("it asserts nothing (assert_true, assert_false)")),
        None if cases.is_empty() => Err(fail("there are no cases".to_owned())),
        None => Ok(cases),
    }
}

/// Runs cases. An error means that one of them is no case, not that it fails.
pub fn run(cases: &[Case]) -> Result<Results, CaseError> {
    let mut results = Results::default();
    for case in cases {
        case.run(&mut results)?;
        results.cases += 1;
        results.assertions += case.assertions();
    }
    Ok(results)
}

impl Case {
    fn assertions(&self) -> usize {
        self.assert_true.len()
            + self.assert_false.len()
            + self.assert_unknown.len()
            + self.assert_refused.len()
            + self.assert_refused_namespaces.len()
    }

    fn error(&self, reason: impl std::fmt::Display) -> CaseError {
        let case = if self.name.is_empty() { String::new() } else { format!("{}: ", self.name) };
        CaseError { case, reason: reason.to_string() }
    }

    fn fails(&self, question: &str, expected: &'static str, said: impl Into<String>) -> Failed {
        Failed { case: self.name.clone(), question: question.to_owned(), expected, said: said.into() }
    }

    fn run(&self, results: &mut Results) -> Result<(), CaseError> {
        let mut scratch = Scratch::new();
        let rules = self.namespaces.iter().map(|(kind, config)| (kind.as_str(), config));
        for (kind, report) in scratch.namespaces(rules) {
            let warnings = report.map_err(|e| self.error(format!("namespace '{kind}': {e}")))?;
            results.warnings.extend(warnings.into_iter().map(|warning| format!("{kind} {warning}")));
        }
        for tuple in &self.tuples {
            self.grant(&mut scratch, tuple)?;
        }
        for (file, owner) in &self.owners {
            scratch.own(file, owner).map_err(|e| self.error(e))?;
        }
        let env = Env { now_us: self.now()?.unwrap_or(0), context: self.context.clone().map(Arc::new) };
        let asked = [("yes", &self.assert_true), ("no", &self.assert_false), ("unknown", &self.assert_unknown)];
        for (expected, questions) in asked {
            for question in questions {
                let verdict = scratch.ask(question, &env).map_err(|e: ScratchError| self.error(e))?;
                let fits = match verdict {
                    Verdict::Allow => expected == "yes",
                    Verdict::Deny => expected == "no",
                    Verdict::Unknown(_) => expected == "unknown",
                };
                if !fits {
                    results.failed.push(self.fails(question, expected, in_words(&verdict)));
                }
            }
        }
        for tuple in &self.assert_refused {
            if scratch.clone().grant(tuple, Extra::default()).is_ok() {
                results.failed.push(self.fails(tuple, "a refusal of this tuple", "it may be written"));
            }
        }
        for (kind, config) in &self.assert_refused_namespaces {
            if scratch.graph().validate_namespace(kind, config).is_ok() {
                let what = format!("namespace '{kind}'");
                results.failed.push(self.fails(&what, "a refusal of these rules", "they may be put"));
            }
        }
        Ok(())
    }

    fn grant(&self, scratch: &mut Scratch, tuple: &Value) -> Result<(), CaseError> {
        let full = match tuple {
            Value::String(line) => FullTuple { tuple: line.clone(), expires: None, condition: None },
            other => serde_json::from_value(other.clone()).map_err(|e| self.error(format!("tuple {other}: {e}")))?,
        };
        let expires_at_us = full.expires.as_ref().map(|at| self.moment(at)).transpose()?;
        if expires_at_us.is_some() && self.now.is_none() {
            return Err(self.error(format!("'{}' ends, so the case must say what time it is (now)", full.tuple)));
        }
        let granted = match full.condition {
            // Text stands for what is stored: it need not be readable.
            Some(Value::String(stored)) => scratch.grant_unread(&full.tuple, expires_at_us, Some(stored)),
            condition => scratch.grant(&full.tuple, Extra { expires_at_us, condition }),
        };
        granted.map_err(|e| self.error(e))
    }

    fn now(&self) -> Result<Option<i64>, CaseError> {
        self.now.as_ref().map(|now| self.moment(now)).transpose()
    }

    /// ISO-8601, or Unix time in µs.
    fn moment(&self, value: &Value) -> Result<i64, CaseError> {
        let moment = value.as_i64().or_else(|| value.as_str().and_then(parse_iso));
        moment.ok_or_else(|| self.error(format!("{value} is no time: ISO-8601, or Unix time in µs, is wanted")))
    }
}

fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow => "yes".into(),
        Verdict::Deny => "no".into(),
        Verdict::Unknown(why) => match why {
            Why::MissingContext(keys) => format!("unknown: a condition needs the context {}", keys.join(", ")),
            Why::CorruptCondition => "unknown: a condition cannot be read".into(),
            Why::CorruptNamespace => "unknown: rules cannot be read".into(),
            Why::NegativeCycle => "unknown: tuples close a ring through an exclusion".into(),
            Why::Budget => "unknown: the work budget was spent".into(),
            Why::TooManyRelations => "unknown: there are too many relation names".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = "
namespaces:
  doc: {relations: {viewer: {}, banned: {}}, permissions: {read: {intersection: [viewer, {exclusion: banned}]}}}
tuples:
  - user:a viewer doc:1
  - user:b viewer doc:1
  - user:b banned doc:1
  - {tuple: 'user:c viewer doc:1', expires: 2026-01-01T00:00:00Z}
  - {tuple: 'user:d viewer doc:1', condition: {allowed_ips: [10.0.0.0/8]}}
now: 2026-01-01T00:00:00Z
";

    fn failed(more: &str) -> Vec<String> {
        let cases = read(&format!("{DOC}{more}")).expect("a case");
        run(&cases).expect("it runs").failed.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_holds_passes_and_what_does_not_is_told() {
        let right = "assert_true: [user:a read doc:1]\nassert_false: [user:b read doc:1, user:c read doc:1]\n\
                     assert_unknown: [user:d read doc:1]\nassert_refused: [user:a member user:b]\n\
                     assert_refused_namespaces: {doc: {relations: {a: {exclusion: a}}, permissions: {}}}\n";
        assert_eq!(failed(right), [""; 0]);
        let turned = "assert_false: [user:a read doc:1, user:d read doc:1]\nassert_true: [user:b read doc:1]\n\
                      assert_unknown: [user:a read doc:1]\nassert_refused: [user:a viewer doc:2]\n\
                      assert_refused_namespaces: {doc: {relations: {a: {}}, permissions: {}}}\n";
        assert_eq!(
            failed(turned),
            [
                "user:b read doc:1: expected yes, the engine says no",
                "user:a read doc:1: expected no, the engine says yes",
                "user:d read doc:1: expected no, the engine says unknown: a condition needs the context ip",
                "user:a read doc:1: expected unknown, the engine says yes",
                "user:a viewer doc:2: expected a refusal of this tuple, the engine says it may be written",
                "namespace 'doc': expected a refusal of these rules, the engine says they may be put",
            ]
        );
    }

    #[test]
    fn what_is_no_case_is_an_error() {
        for text in [
            "",
            "[]",
            "tuples: []",
            "cases: []",
            "cases: [{name: x}]",
            "assert_flase: [user:a read doc:1]",
            "{assert_true: [user:a read doc:1], assert_true: []}",
            "assert_true: [user:a read doc:1",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
        for text in [
            "assert_true: [user:a read]",
            "{tuples: [user:a read], assert_true: [user:a read doc:1]}",
            "{tuples: [{tuple: user:a x doc:1, expires: 5}], assert_true: [user:a x doc:1]}",
            "{tuples: [{tuple: user:a x doc:1, expired: 5}], assert_true: [user:a x doc:1]}",
            "{now: soon, assert_true: [user:a x doc:1]}",
            "{namespaces: {doc: {}}, assert_true: [user:a x doc:1]}",
        ] {
            assert!(run(&read(text).expect(text)).is_err(), "{text:?}");
        }
    }
}
