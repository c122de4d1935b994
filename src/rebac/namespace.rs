//! Namespaces as people write them: reading, and what is wrong with them.
//!
//! Owns the text form only; [`schema`](super::schema) gives the names their meaning. Invariant: a key that is not
//! understood is an error with its place, never ignored.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::model::nearest;

use super::limits::{NAME_BYTES_MAX, RULE_DEPTH_MAX, RULES_MAX};

/// What is wrong with a namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// Not the form that is expected at this place.
    #[error("{place}: {expected}")]
    Malformed {
        /// Where, e.g. `relations.viewer.union[1]`.
        place: String,
        /// What is expected there.
        expected: &'static str,
    },
    /// An operator that does not exist.
    #[error(
        "{place}: unknown operator '{operator}'. Known: union, intersection, exclusion, tupleToUserset, computed_userset, this"
    )]
    UnknownOperator {
        /// Where.
        place: String,
        /// The key found.
        operator: String,
    },
    /// A name depends on its own absence.
    #[error("{place}: excludes something that depends on it: {cycle}. Whether it holds would contradict itself")]
    NegativeCycle {
        /// The rule with the exclusion.
        place: String,
        /// The way from the exclusion back to itself.
        cycle: String,
    },
    /// Too many relation names in the whole store.
    #[error("there are 32767 relation names already; one more cannot be told apart. Reuse names")]
    TooManyRelations,
    /// Too many rules.
    #[error("{place}: more rules than one namespace may have ({RULES_MAX})")]
    TooLarge {
        /// Where it became too large.
        place: String,
    },
}

impl NamespaceError {
    /// Where it is, e.g. `relations.viewer.union[1]`.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        match self {
            Self::Malformed { place, .. }
            | Self::UnknownOperator { place, .. }
            | Self::NegativeCycle { place, .. }
            | Self::TooLarge { place } => Some(place),
            Self::TooManyRelations => None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Malformed { .. } => {
                "a namespace is {\"relations\": {name: rule}, \"permissions\": {name: [names]}}; \
                                       a rule is {}, a list of names, or an object with one operator"
                    .to_owned()
            }
            Self::UnknownOperator { operator, .. } => match nearest(operator, OPERATORS.iter().copied()) {
                Some(known) => format!("did you mean '{known}'?"),
                None => "an unknown operator is refused, for ignoring one could grant".to_owned(),
            },
            Self::NegativeCycle { .. } => "take one name out of the ring, or exclude a relation that holds tuples \
                                           of its own ({})"
                .to_owned(),
            Self::TooManyRelations => "use names that other types use already".to_owned(),
            Self::TooLarge { .. } => "split the type, or name common parts once and refer to them".to_owned(),
        }
    }
}

/// One rule, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    /// The tuples with the relation's own name.
    Direct,
    /// Whatever the name means on the same object.
    Name(String),
    /// At least one.
    Union(Vec<Rule>),
    /// Every one.
    Intersection(Vec<Rule>),
    /// Not this one.
    Exclusion(Box<Rule>),
    /// `computed` on each object that `tupleset` leads to.
    TupleToUserset { tupleset: String, computed: String },
}

/// A namespace, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Namespace {
    pub(super) relations: BTreeMap<String, Rule>,
    pub(super) permissions: BTreeMap<String, Rule>,
}

impl Rule {
    /// Gives this rule and every rule in it to `each`.
    pub(super) fn each<'r>(&'r self, each: &mut dyn FnMut(&'r Self)) {
        each(self);
        match self {
            Self::Union(rules) | Self::Intersection(rules) => rules.iter().for_each(|rule| rule.each(each)),
            Self::Exclusion(rule) => rule.each(each),
            Self::Direct | Self::Name(_) | Self::TupleToUserset { .. } => {}
        }
    }
}

impl Namespace {
    /// Whether a relation or a permission has this name.
    pub(super) fn defines(&self, name: &str) -> bool {
        self.relations.contains_key(name) || self.permissions.contains_key(name)
    }

    /// Reads the stored or sent text.
    pub(super) fn parse_text(config: &str) -> Result<Self, NamespaceError> {
        let value: Value = serde_json::from_str(config)
            .map_err(|_| malformed("config", "a JSON object with relations and permissions"))?;
        Self::parse(&value)
    }

    pub(super) fn parse(config: &Value) -> Result<Self, NamespaceError> {
        let config =
            config.as_object().ok_or_else(|| malformed("config", "an object with relations and permissions"))?;
        if let Some(key) = config.keys().find(|key| !matches!(key.as_str(), "relations" | "permissions")) {
            return Err(malformed(key, "only the keys relations and permissions are known"));
        }
        let mut left = RULES_MAX;
        let mut section = |name: &'static str| {
            let rules = config.get(name).and_then(Value::as_object);
            let rules = rules.ok_or_else(|| malformed(name, "an object: name to rule"))?;
            let named = rules.iter().map(|(key, rule)| {
                let place = format!("{name}.{key}");
                if key.trim().is_empty() || key.len() > NAME_BYTES_MAX || key.chars().any(char::is_control) {
                    return Err(malformed(&place, "a name of 1 to 255 bytes without control characters"));
                }
                Ok((key.clone(), Parser { left: &mut left }.rule(rule, &place, 0)?))
            });
            named.collect::<Result<BTreeMap<_, _>, _>>()
        };
        Ok(Self { relations: section("relations")?, permissions: section("permissions")? })
    }
}

/// Reads the config of one namespace for its form alone. [`Graph::validate_namespace`](super::Graph::validate_namespace)
/// also looks at it together with the others.
pub fn validate(config: &Value) -> Result<(), NamespaceError> {
    Namespace::parse(config).map(|_| ())
}

fn malformed(place: &str, expected: &'static str) -> NamespaceError {
    NamespaceError::Malformed { place: place.to_owned(), expected }
}

struct Parser<'l> {
    left: &'l mut usize,
}

impl Parser<'_> {
    fn count(&mut self, place: &str) -> Result<(), NamespaceError> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| NamespaceError::TooLarge { place: place.to_owned() })?;
        Ok(())
    }

    /// `{}`, `"direct"`, a list of names (a union), or an object with one operator.
    fn rule(&mut self, rule: &Value, place: &str, depth: usize) -> Result<Rule, NamespaceError> {
        self.count(place)?;
        if depth > RULE_DEPTH_MAX {
            return Err(NamespaceError::TooLarge { place: place.to_owned() });
        }
        match rule {
            Value::String(word) if word == "direct" => Ok(Rule::Direct),
            Value::Array(_) => Ok(Rule::Union(self.operands(rule, place, depth)?)),
            Value::Object(keys) => self.operator(keys, place, depth),
            _ => Err(malformed(place, "{}, \"direct\", a list of names, or an object with one operator")),
        }
    }

    fn operator(&mut self, keys: &Map<String, Value>, place: &str, depth: usize) -> Result<Rule, NamespaceError> {
        let mut entries = keys.iter();
        let Some((operator, operand)) = entries.next() else { return Ok(Rule::Direct) };
        if entries.next().is_some() {
            // The original took the first it knew and ignored the rest: a lost exclusion grants.
            if let Some(unknown) = keys.keys().find(|key| !OPERATORS.contains(&key.as_str())) {
                return Err(NamespaceError::UnknownOperator { place: place.to_owned(), operator: unknown.clone() });
            }
            return Err(malformed(place, "one operator only"));
        }
        let inner = format!("{place}.{operator}");
        match operator.as_str() {
            "this" => Ok(Rule::Direct),
            "union" => Ok(Rule::Union(self.operands(operand, &inner, depth)?)),
            "intersection" => match self.operands(operand, &inner, depth)? {
                // The conjunction of nothing is true for everybody; nobody means that.
                none if none.is_empty() => Err(malformed(&inner, "at least one name")),
                operands => Ok(Rule::Intersection(operands)),
            },
            "exclusion" => Ok(Rule::Exclusion(Box::new(self.operand(operand, &inner, depth + 1)?))),
            "computed_userset" => {
                let name = operand.get("relation").unwrap_or(operand);
                name.as_str()
                    .map(|name| Rule::Name(name.to_owned()))
                    .ok_or_else(|| malformed(&inner, "{\"relation\": name}"))
            }
            "tupleToUserset" => {
                let part = |key| {
                    let name = operand.get(key).and_then(Value::as_str).filter(|name| !name.is_empty());
                    name.map(str::to_owned).ok_or_else(|| malformed(&inner, "tupleset and computedUserset, two names"))
                };
                let known = |keys: &Map<String, Value>| keys.keys().all(|k| k == "tupleset" || k == "computedUserset");
                if !operand.as_object().is_some_and(known) {
                    return Err(malformed(&inner, "tupleset and computedUserset, two names"));
                }
                Ok(Rule::TupleToUserset { tupleset: part("tupleset")?, computed: part("computedUserset")? })
            }
            _ => Err(NamespaceError::UnknownOperator { place: place.to_owned(), operator: operator.clone() }),
        }
    }

    fn operands(&mut self, list: &Value, place: &str, depth: usize) -> Result<Vec<Rule>, NamespaceError> {
        let list = list.as_array().ok_or_else(|| malformed(place, "a list of names"))?;
        list.iter().enumerate().map(|(i, operand)| self.operand(operand, &format!("{place}[{i}]"), depth + 1)).collect()
    }

    /// Inside a list a text is always a name, `"direct"` too.
    fn operand(&mut self, operand: &Value, place: &str, depth: usize) -> Result<Rule, NamespaceError> {
        match operand {
            Value::String(name) if !name.is_empty() => {
                self.count(place)?;
                Ok(Rule::Name(name.clone()))
            }
            Value::Object(_) => self.rule(operand, place, depth),
            _ => Err(malformed(place, "a name, or an object with one operator")),
        }
    }
}

const OPERATORS: &[&str] = &["union", "intersection", "exclusion", "tupleToUserset", "computed_userset", "this"];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn relation(rule: Value) -> Result<Rule, NamespaceError> {
        Namespace::parse(&json!({"relations": {"r": rule}, "permissions": {}})).map(|n| n.relations["r"].clone())
    }
    fn name(n: &str) -> Rule {
        Rule::Name(n.to_owned())
    }

    #[test]
    fn all_forms_are_read() {
        assert_eq!(relation(json!({})), Ok(Rule::Direct));
        assert_eq!(relation(json!("direct")), Ok(Rule::Direct));
        assert_eq!(relation(json!({"this": {}})), Ok(Rule::Direct));
        assert_eq!(relation(json!({"union": ["a", "b"]})), Ok(Rule::Union(vec![name("a"), name("b")])));
        assert_eq!(relation(json!({"intersection": ["a", "b"]})), Ok(Rule::Intersection(vec![name("a"), name("b")])));
        assert_eq!(relation(json!({"exclusion": "a"})), Ok(Rule::Exclusion(Box::new(name("a")))));
        assert_eq!(relation(json!({"computed_userset": {"relation": "a"}})), Ok(name("a")));
        assert_eq!(relation(json!(["a"])), Ok(Rule::Union(vec![name("a")])));
        let ttu = Rule::TupleToUserset { tupleset: "t".into(), computed: "c".into() };
        assert_eq!(relation(json!({"tupleToUserset": {"tupleset": "t", "computedUserset": "c"}})), Ok(ttu.clone()));
        let nested = json!({"union": [{"exclusion": {"intersection": ["a", {"tupleToUserset": {"tupleset": "t", "computedUserset": "c"}}]}}]});
        let inner = Rule::Exclusion(Box::new(Rule::Intersection(vec![name("a"), ttu])));
        assert_eq!(relation(nested), Ok(Rule::Union(vec![inner])));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        let unknown = relation(json!({"union": ["a", {"difference": ["b"]}]})).unwrap_err();
        let place = "relations.r.union[1]".to_owned();
        assert_eq!(unknown, NamespaceError::UnknownOperator { place, operator: "difference".into() });
        for wrong in [
            json!(null),
            json!(1),
            json!("viewer"),
            json!({"union": "a"}),
            json!({"union": ["a"], "exclusion": "b"}),
            json!({"exclusion": ["a", "b"]}),
            json!({"intersection": []}),
            json!({"union": [""]}),
            json!({"union": [[]]}),
            json!({"tupleToUserset": {"tupleset": "t"}}),
            json!({"tupleToUserset": {"tupleset": "t", "computedUserset": "c", "x": 1}}),
            json!({"computed_userset": {}}),
        ] {
            assert!(matches!(relation(wrong.clone()), Err(NamespaceError::Malformed { .. })), "{wrong}");
        }
        let mixed = relation(json!({"union": ["a"], "subtract": "b"}));
        assert!(matches!(mixed, Err(NamespaceError::UnknownOperator { operator, .. }) if operator == "subtract"));
        for wrong in
            [json!([]), json!({}), json!({"relations": {}}), json!({"relations": {}, "permissions": [], "x": 1})]
        {
            assert!(Namespace::parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let deep = (0..100).fold(json!("a"), |inner, _| json!({"exclusion": inner}));
        assert!(matches!(relation(deep), Err(NamespaceError::TooLarge { .. })));
        let wide = json!({"union": vec![json!("a"); RULES_MAX + 1]});
        assert!(matches!(relation(wide), Err(NamespaceError::TooLarge { .. })));
    }
}
