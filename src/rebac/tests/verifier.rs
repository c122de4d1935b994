//! Replays a proof from plain data: the text of the namespaces and a list of tuples.
//!
//! Shares nothing with the engine but the words of a proof. What is excluded it asks the oracle. Accepts only proofs in
//! which every reason comes later in the list, so that nothing rests on itself.

use serde_json::{Value, json};

use super::super::explain::{How, Named, Proof, Step, TupleFact};
use super::oracle::{Facts, Identity, Oracle, Terms, Who};

/// What a fact is expected to say.
#[derive(Clone)]
enum Claim {
    /// The name as a question means it, or as a reference does.
    Name(String, bool),
    /// A rule within the rule of this name.
    Rule(Value, String),
}

pub(super) struct Verifier<'f> {
    pub(super) facts: &'f Facts,
    pub(super) subject: Who,
    pub(super) owner: Option<(Who, Who)>,
}

pub(super) fn who_of(name: &Named) -> Who {
    Who::new(&name.tenant, &name.kind, &name.id)
}

pub(super) fn identity(tuple: &TupleFact) -> Identity {
    let subject = Who { set: tuple.subject_relation.clone(), ..who_of(&tuple.subject) };
    (subject, tuple.relation.clone(), who_of(&tuple.object))
}

/// The tuples that a proof cites.
pub(super) fn tuples(proof: &Proof) -> Vec<Identity> {
    let cited = proof.facts.iter().filter_map(|fact| match &fact.how {
        How::Tuple(tuple) | How::Userset { tuple, .. } | How::Through { step: Step::Tuple(tuple), .. } => Some(tuple),
        _ => None,
    });
    cited.map(identity).collect()
}

macro_rules! require {
    ($holds:expr, $($text:tt)*) => {
        if !$holds {
            return Err(format!($($text)*));
        }
    };
}

impl Verifier<'_> {
    /// Whether the proof shows that the subject has `permission` on `object`.
    pub(super) fn accepts(&self, proof: &Proof, permission: &str, object: &Who) -> Result<(), String> {
        let mut open = vec![(0, object.clone(), Claim::Name(permission.to_owned(), true), None)];
        while let Some((at, object, claim, above)) = open.pop() {
            require!(above.is_none_or(|above: usize| above < at), "fact {at} is the reason of one after it");
            let fact = proof.facts.get(at).ok_or("no such fact")?;
            require!(who_of(&fact.object) == object, "fact {at} is about {:?}, not {object:?}", fact.object);
            let (rule, own) = match &claim {
                Claim::Name(name, question) => {
                    require!(fact.name.as_ref() == Some(name), "fact {at} is about {:?}, not {name}", fact.name);
                    (self.rule_of(&object, name, *question), name.clone())
                }
                Claim::Rule(rule, own) => (rule.clone(), own.clone()),
            };
            for (reason, object, claim) in self.replay(&fact.how, &rule, &own, &object)? {
                open.push((reason, object, claim, Some(at)));
            }
        }
        Ok(())
    }

    fn rule_of(&self, object: &Who, name: &str, question: bool) -> Value {
        let Some(config) = self.facts.namespaces.get(&object.kind) else { return json!({}) };
        let order = if question { ["permissions", "relations"] } else { ["relations", "permissions"] };
        order.iter().find_map(|section| config[section].get(name)).cloned().unwrap_or_else(|| json!({}))
    }

    /// What the fact rests on, if it follows from it.
    fn replay(&self, how: &How, rule: &Value, own: &str, object: &Who) -> Result<Vec<(usize, Who, Claim)>, String> {
        let operand = |operand: &Value| match operand.as_str() {
            Some(name) => Claim::Name(name.to_owned(), false),
            None => match operand.get("computed_userset") {
                Some(named) => Claim::Name(named["relation"].as_str().unwrap_or_default().to_owned(), false),
                None => Claim::Rule(operand.clone(), own.to_owned()),
            },
        };
        let list = |key: &str| rule.get(key).and_then(Value::as_array);
        if let Some(branches) = rule.as_array().or_else(|| list("union")) {
            let How::AnyOf { branch, because, .. } = how else { return Err(format!("{how:?} shows no union")) };
            let branch = branches.get(*branch).ok_or("no such branch")?;
            return Ok(vec![(*because, object.clone(), operand(branch))]);
        }
        if rule.get("computed_userset").is_some() {
            let How::AnyOf { branch: 0, because, .. } = how else { return Err(format!("{how:?} shows no name")) };
            return Ok(vec![(*because, object.clone(), operand(rule))]);
        }
        if let Some(branches) = list("intersection") {
            let How::AllOf { because, .. } = how else { return Err(format!("{how:?} shows no intersection")) };
            require!(because.len() == branches.len(), "not all branches are shown");
            let claims = because.iter().zip(branches);
            return Ok(claims.map(|(because, branch)| (*because, object.clone(), operand(branch))).collect());
        }
        if let Some(excluded) = rule.get("exclusion") {
            require!(matches!(how, How::Absent { .. }), "{how:?} shows no exclusion");
            require!(self.lacks(object, excluded), "the oracle does not deny {excluded} on {object:?}");
            return Ok(Vec::new());
        }
        match rule.get("tupleToUserset") {
            Some(ttu) => self.through(how, ttu, object),
            None => self.direct(how, own, object),
        }
    }

    fn through(&self, how: &How, ttu: &Value, object: &Who) -> Result<Vec<(usize, Who, Claim)>, String> {
        let How::Through { tupleset, computed, step, because } = how else {
            return Err(format!("{how:?} shows no tupleset"));
        };
        require!(ttu["tupleset"] == json!(tupleset) && ttu["computedUserset"] == json!(computed), "another rule");
        let on_file = object.kind == "file";
        let next = match step {
            Step::Directory => {
                require!(on_file && tupleset == "parent" && object.id.starts_with('/'), "no directory");
                let (above, last) = object.id.rsplit_once('/').ok_or("no directory")?;
                require!(!last.is_empty(), "nothing is above the root");
                Who { id: if above.is_empty() { "/".to_owned() } else { above.to_owned() }, ..object.clone() }
            }
            Step::Owner(owner) => {
                let owner = who_of(owner);
                require!(self.owner == Some((object.clone(), owner.clone())), "not the owner");
                require!(tupleset == "direct_owner" && owner.tenant == object.tenant, "no owner here");
                owner
            }
            Step::Tuple(tuple) => {
                self.live(tuple)?;
                let (subject, relation, on) = identity(tuple);
                require!(relation == *tupleset && subject.set.is_none(), "another tupleset");
                let from_object = on == *object && tupleset != "parent";
                let to_object = subject == *object && !on_file && !tupleset.starts_with("direct_");
                require!(from_object || to_object, "the tuple does not start at {object:?}");
                if from_object && !(to_object && on != *object) { subject } else { on }
            }
        };
        require!(!next.is_public(), "everybody is no object");
        Ok(vec![(*because, next, Claim::Name(computed.clone(), false))])
    }

    fn direct(&self, how: &How, own: &str, object: &Who) -> Result<Vec<(usize, Who, Claim)>, String> {
        match how {
            How::Owner => {
                let named = self.owner == Some((object.clone(), self.subject.clone()));
                require!(named && own == "direct_owner" && self.subject.tenant == object.tenant, "not the owner");
                Ok(Vec::new())
            }
            How::Tuple(tuple) => {
                self.live(tuple)?;
                let (subject, relation, on) = identity(tuple);
                require!(on == *object && relation == own, "a tuple of something else");
                let public = subject.is_public() && subject.tenant == self.subject.tenant;
                require!(subject.set.is_none() && (subject == self.subject || public), "a tuple of somebody else");
                Ok(Vec::new())
            }
            How::Userset { tuple, because } => {
                self.live(tuple)?;
                let (subject, relation, on) = identity(tuple);
                require!(on == *object && relation == own && !subject.is_public(), "a tuple of something else");
                let set = subject.set.clone().ok_or("no userset")?;
                Ok(vec![(*because, subject.plain(), Claim::Name(set, false))])
            }
            _ => Err(format!("{how:?} shows no tuple")),
        }
    }

    /// The tuple is in the list, lives, its condition holds, and it may count at all.
    fn live(&self, tuple: &TupleFact) -> Result<(), String> {
        let (subject, relation, object) = identity(tuple);
        let terms = self.facts.tuples.get(&(subject.clone(), relation.clone(), object.clone()));
        let Terms { expires, condition } = terms.ok_or_else(|| format!("{tuple:?} is not in the list"))?;
        require!(expires.is_none_or(|at| self.facts.now < at), "{tuple:?} is over");
        require!(*expires == tuple.expires_at_us, "{tuple:?} tells another expiry");
        let counts = condition.is_none() || self.holds(&subject, &relation, &object);
        require!(counts, "the condition of {tuple:?} does not hold");
        let share = relation.starts_with("shared-") && !subject.is_public();
        require!(subject.tenant == object.tenant || share, "{tuple:?} crosses tenants");
        Ok(())
    }

    /// Whether the oracle counts a tuple with its condition: asked of a world with nothing else in it.
    fn holds(&self, subject: &Who, relation: &str, object: &Who) -> bool {
        let terms = self.facts.tuples[&(subject.clone(), relation.to_owned(), object.clone())].clone();
        let (subject, object) = (Who::new("t", "user", "x"), Who::new("t", "bare", "x"));
        let mut facts = Facts { now: self.facts.now, context: self.facts.context.clone(), ..Facts::default() };
        facts.tuples.insert((subject.clone(), "r".into(), object.clone()), terms);
        Oracle::new(&facts, &subject, None).answers(&[(object, "r".into())]) == [Some(true)]
    }

    /// Whether what is excluded certainly does not hold, by the oracle: asked as a name of its own.
    fn lacks(&self, object: &Who, excluded: &Value) -> bool {
        const PROBE: &str = "\u{1}probe";
        let mut facts = self.facts.clone();
        if let Some(config) = facts.namespaces.get_mut(&object.kind) {
            config["relations"][PROBE] = json!({"union": [excluded]});
        }
        let answers = Oracle::new(&facts, &self.subject, self.owner.clone());
        answers.answers(&[(object.clone(), PROBE.to_owned())]) == [Some(false)]
    }
}
