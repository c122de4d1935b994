//! The shape of an explanation on the wire. Words only; what may be told was decided before.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::explain::{Explanation, Metadata};
use crate::model::time::iso_utc;
use crate::rebac::explain::{Action, Fact, How, Miss, MissWhy, Named, Proof, Repair, Step, TupleFact};
use crate::rebac::{Verdict, Why};
use crate::service::relations::explain::Explained;

/// Levels of `sub_paths` that are written: readers of JSON stop at some depth.
const LEVELS_MAX: usize = 32;

/// A tuple. An id is null where the caller may not see the name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExplainedTuple {
    /// Its id; null for one that is not stored, or whose names may not be seen.
    tuple_id: Option<String>,
    /// Who: the type.
    subject_type: String,
    /// Who: the id.
    subject_id: Option<String>,
    /// For everybody who has this relation on the subject.
    subject_relation: Option<String>,
    /// The relation.
    relation: String,
    /// On what: the type.
    object_type: String,
    /// On what: the id.
    object_id: Option<String>,
    /// Always null; whether there is a condition says `conditional`.
    conditions: Option<Value>,
    /// Whether it has a condition.
    conditional: bool,
    /// When it ends, ISO-8601; null = never.
    expires_at: Option<String>,
}

/// One fact of a proof: the subject has `name` on the object.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FactView {
    /// `[type, id]`; the id is null where the caller may not see the name.
    object: (String, Option<String>),
    /// The permission or relation; null for a rule within a rule.
    name: Option<String>,
    /// `tuple`, `owner`, `userset`, `union`, `intersection`, `exclusion` or `tuple_to_userset`.
    rule: &'static str,
    /// Positions of the facts it rests on.
    because: Vec<usize>,
    /// Which branch of the union holds, and for exclusions what does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    /// The branches of a union or intersection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    operands: Vec<String>,
    /// Of a tuple-to-userset: the tupleset.
    #[serde(skip_serializing_if = "Option::is_none")]
    tupleset: Option<String>,
    /// Of a tuple-to-userset: the name on the other object.
    #[serde(skip_serializing_if = "Option::is_none")]
    computed_userset: Option<String>,
    /// Of a tuple-to-userset: `tuple`, `directory` (of the path) or `owner` (by the owner column).
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'static str>,
    /// The tuple.
    #[serde(skip_serializing_if = "Option::is_none")]
    tuple: Option<ExplainedTuple>,
}

/// A stored tuple that does not count.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MissView {
    /// The tuple.
    tuple: ExplainedTuple,
    /// `expired`, `condition` or `unreadable_condition`.
    why: &'static str,
    /// Since when it is over, ISO-8601.
    expired_at: Option<String>,
    /// Context keys that its condition needs and that are absent or malformed.
    missing_context: Vec<String>,
    /// Context keys whose values do not fit its condition.
    failed_context: Vec<String>,
}

/// One element of a change.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ElementView {
    /// `grant` or `revoke`.
    #[serde(rename = "do")]
    action: &'static str,
    /// `renew`, `condition`, `join`, `grant_on_object`, `grant_above`, `link`, `remove` or `remove_owner`.
    kind: &'static str,
    /// The tuple.
    tuple: ExplainedTuple,
    /// The object or subject does not exist yet; any unused name does.
    new_name: Option<String>,
}

/// A change that makes the answer a yes; all of it is needed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Change {
    /// What to do.
    elements: Vec<ElementView>,
    /// The same in words.
    text: String,
}

/// Why an answer is not known.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UnknownView {
    /// `missing_context`, `unreadable_condition`, `unreadable_namespace`, `negative_cycle`, `budget` or
    /// `too_many_relations`.
    why: &'static str,
    /// Context keys that would decide it.
    missing_context: Vec<String>,
    /// What would decide it.
    to_decide: &'static str,
}

/// What the file methods make of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AroundView {
    /// What they would decide for the subject.
    allowed: bool,
    /// Whether that is another answer.
    differs: bool,
    /// Why.
    because: Vec<String>,
}

/// What it took.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatsView {
    /// The revision of the answer.
    revision: u64,
    /// Edges and path components that the answer looked at; null where that would tell too much.
    edges_visited: Option<u64>,
    /// Whether the sets that the subject is in came from the cache.
    closure_cached: bool,
    /// Changes that were tried.
    candidates: usize,
}

fn id(name: &Named) -> Option<String> {
    (!name.is_hidden()).then(|| name.id.clone())
}

fn tuple_text(tuple: &TupleFact) -> String {
    let set = tuple.subject_relation.as_ref().map_or(String::new(), |set| format!("#{set}"));
    let subject = if tuple.subject.kind == "*" { "everybody".to_owned() } else { tuple.subject.to_string() };
    format!("{subject}{set} {} {}", tuple.relation, tuple.object)
}

impl From<&TupleFact> for ExplainedTuple {
    fn from(tuple: &TupleFact) -> Self {
        Self {
            tuple_id: tuple.tuple_id.clone(),
            subject_type: tuple.subject.kind.clone(),
            subject_id: id(&tuple.subject),
            subject_relation: tuple.subject_relation.clone(),
            relation: tuple.relation.clone(),
            object_type: tuple.object.kind.clone(),
            object_id: id(&tuple.object),
            conditions: None,
            conditional: tuple.conditional,
            expires_at: tuple.expires_at_us.map(iso_utc),
        }
    }
}

impl From<&Fact> for FactView {
    fn from(fact: &Fact) -> Self {
        let plain = |rule| Self {
            object: (fact.object.kind.clone(), id(&fact.object)),
            name: fact.name.clone(),
            rule,
            because: Vec::new(),
            branch: None,
            operands: Vec::new(),
            tupleset: None,
            computed_userset: None,
            step: None,
            tuple: None,
        };
        match &fact.how {
            How::Tuple(tuple) => Self { tuple: Some(tuple.into()), ..plain("tuple") },
            How::Owner => plain("owner"),
            How::Userset { tuple, because } => {
                Self { tuple: Some(tuple.into()), because: vec![*because], ..plain("userset") }
            }
            How::AnyOf { operands, branch, because } => Self {
                branch: operands.get(*branch).cloned(),
                operands: operands.clone(),
                because: vec![*because],
                ..plain("union")
            },
            How::AllOf { operands, because } => {
                Self { operands: operands.clone(), because: because.clone(), ..plain("intersection") }
            }
            How::Absent { operand } => Self { branch: Some(operand.clone()), ..plain("exclusion") },
            How::Through { tupleset, computed, step, because } => Self {
                tupleset: Some(tupleset.clone()),
                computed_userset: Some(computed.clone()),
                step: Some(step_name(step)),
                tuple: if let Step::Tuple(tuple) = step { Some(tuple.into()) } else { None },
                because: vec![*because],
                ..plain("tuple_to_userset")
            },
        }
    }
}

fn step_name(step: &Step) -> &'static str {
    match step {
        Step::Tuple(_) => "tuple",
        Step::Directory => "directory",
        Step::Owner(_) => "owner",
    }
}

impl From<&Miss> for MissView {
    fn from(miss: &Miss) -> Self {
        let plain = |why| Self {
            tuple: (&miss.tuple).into(),
            why,
            expired_at: None,
            missing_context: Vec::new(),
            failed_context: Vec::new(),
        };
        match &miss.why {
            MissWhy::Expired(at) => Self { expired_at: Some(iso_utc(*at)), ..plain("expired") },
            MissWhy::Condition { unreadable: true, .. } => plain("unreadable_condition"),
            MissWhy::Condition { missing, failed, .. } => {
                Self { missing_context: missing.clone(), failed_context: failed.clone(), ..plain("condition") }
            }
        }
    }
}

fn kind(action: Action) -> (&'static str, &'static str, &'static str) {
    match action {
        Action::Renew => ("grant", "renew", "grant again what has ended"),
        Action::Condition => ("grant", "condition", "meet the condition, or grant without it"),
        Action::Join => ("grant", "join", "join"),
        Action::GrantOnObject => ("grant", "grant_on_object", "grant"),
        Action::GrantAbove => ("grant", "grant_above", "grant above"),
        Action::Link => ("grant", "link", "grant"),
        Action::Remove => ("revoke", "remove", "take away"),
        Action::RemoveOwner => ("revoke", "remove_owner", "take the ownership away"),
    }
}

impl From<&Repair> for Change {
    fn from(repair: &Repair) -> Self {
        let element = |element: &crate::rebac::explain::Element| {
            let (action, name, _) = kind(element.action);
            let ends = [&element.tuple.subject, &element.tuple.object];
            let new_name = ends.into_iter().find(|end| end.invented).map(ToString::to_string);
            ElementView { action, kind: name, tuple: (&element.tuple).into(), new_name }
        };
        let text = repair.elements.iter().map(|e| format!("{}: {}", kind(e.action).2, tuple_text(&e.tuple)));
        let text = text.collect::<Vec<_>>().join("; ");
        Self { elements: repair.elements.iter().map(element).collect(), text }
    }
}

impl From<&Why> for UnknownView {
    fn from(why: &Why) -> Self {
        let (why, missing, to_decide) = match why {
            Why::MissingContext(keys) => {
                ("missing_context", keys.clone(), "give these keys of the context, or grant without the condition")
            }
            Why::CorruptCondition => {
                ("unreadable_condition", vec![], "write the tuple again with a readable condition")
            }
            Why::CorruptNamespace => ("unreadable_namespace", vec![], "store readable rules for the type"),
            Why::NegativeCycle => {
                ("negative_cycle", vec![], "take away a tuple that lets a name rest on its own absence")
            }
            Why::Budget => {
                ("budget", vec![], "ask something narrower: this answer needs more work than one request has")
            }
            Why::TooManyRelations => ("too_many_relations", vec![], "restart after deleting unused relation names"),
        };
        Self { why, missing_context: missing, to_decide }
    }
}

/// Writes a proof as the tree that clients know.
struct Tree<'e> {
    subject: String,
    proof: &'e Proof,
}

impl Tree<'_> {
    fn entry(&self, at: usize, depth: usize) -> Value {
        let Some(fact) = self.proof.facts.get(at) else { return Value::Null };
        let mut entry = json!({
            "subject": self.subject,
            "permission": fact.name,
            "object": fact.object.to_string(),
            "depth": depth,
            "granted": true,
        });
        let because: Vec<usize> = match &fact.how {
            How::Tuple(tuple) => {
                entry["direct_relation"] = json!(true);
                entry["tuple"] = json!(ExplainedTuple::from(tuple));
                vec![]
            }
            How::Owner => {
                entry["direct_relation"] = json!(true);
                entry["owner"] = json!(true);
                vec![]
            }
            How::Userset { tuple, because } => {
                entry["userset"] = json!(tuple_text(tuple));
                entry["tuple"] = json!(ExplainedTuple::from(tuple));
                vec![*because]
            }
            How::AnyOf { operands, branch, because } => {
                let (list, via) =
                    if depth == 0 { ("expanded_to", "via_userset") } else { ("union", "via_union_member") };
                entry[list] = json!(operands);
                entry[via] = json!(operands.get(*branch));
                vec![*because]
            }
            How::AllOf { operands, because } => {
                entry["intersection"] = json!(operands);
                because.clone()
            }
            How::Absent { operand } => {
                entry["exclusion"] = json!(operand);
                vec![]
            }
            How::Through { tupleset, computed, step, because } => {
                let mut ttu = json!({"tupleset": tupleset, "computedUserset": computed});
                let next = self.proof.facts.get(*because).map(|fact| (fact.object.kind.clone(), id(&fact.object)));
                let is_parent = matches!(step, Step::Directory)
                    || matches!(step, Step::Tuple(tuple) if tuple.subject == fact.object);
                ttu[if is_parent { "found_parents" } else { "found_subjects" }] = json!([next]);
                entry["tupleToUserset"] = ttu;
                entry["pattern"] = json!(if is_parent { "parent" } else { "group" });
                vec![*because]
            }
        };
        if depth >= LEVELS_MAX && !because.is_empty() {
            entry["truncated"] = json!(true);
        } else if !because.is_empty() {
            entry["sub_paths"] = because.into_iter().map(|at| self.entry(at, depth + 1)).collect();
        }
        entry
    }
}

impl Explanation {
    /// In the shape of the wire.
    pub(super) fn of(explained: Explained, request_id: &str) -> Self {
        let found = &explained.explanation;
        let question = &explained.question;
        let tree = found.proof.as_ref().map(|proof| Tree { subject: question.subject.to_string(), proof }.entry(0, 0));
        let denied = || {
            json!({
                "subject": question.subject.to_string(),
                "permission": question.permission,
                "object": question.object.to_string(),
                "depth": 0,
                "granted": found.verdict.allowed(),
                "expanded_to": explained.expanded_to,
            })
        };
        let repair = if found.repairs.is_empty() { "none" } else { "found" };
        Self {
            result: found.verdict.allowed(),
            cached: false,
            reason: explained.sentence(),
            paths: vec![tree.clone().unwrap_or_else(denied)],
            successful_path: tree,
            metadata: Metadata {
                timestamp: iso_utc(explained.now_us),
                request_id: request_id.to_owned(),
                max_depth: None,
                cache_ttl_seconds: None,
            },
            verdict: match found.verdict {
                Verdict::Allow => "allow",
                Verdict::Deny => "deny",
                Verdict::Unknown(_) => "unknown",
            },
            proof: found.proof.as_ref().map(|proof| proof.facts.iter().map(FactView::from).collect()),
            misses: found.misses.iter().map(MissView::from).collect(),
            changes: found.repairs.iter().map(Change::from).collect(),
            repair: (!found.verdict.allowed()).then_some(repair),
            repair_reason: explained.no_repair_sentence(),
            complete: found.complete,
            unknown: found.why_unknown().map(UnknownView::from),
            remark: explained.remark(),
            around: explained.around.clone().map(|around| AroundView {
                allowed: around.allowed,
                differs: around.differs,
                because: around.because,
            }),
            hidden: explained.hidden,
            stats: StatsView {
                revision: found.stats.rev,
                edges_visited: (found.stats.edges > 0).then_some(found.stats.edges),
                closure_cached: found.stats.closure_cached,
                candidates: found.stats.candidates,
            },
        }
    }
}
