//! Entities as people type them: `user:alice`, `file:/docs/a.txt`, `group:eng#member`, `*` for everybody.
//!
//! Only splits; what a type or an id may be is the server's to say.

use serde_json::{Value, json};

/// What an entity looks like, for help texts and errors.
const FORM: &str = "type:id, e.g. user:alice or file:/docs/a.txt";

/// `type:id`, or `/path` for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// The type.
    pub kind: String,
    /// The id; all after the first colon.
    pub id: String,
}

/// An entity, or `type:id#relation`, or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Who.
    pub entity: Entity,
    /// For a userset: which relation of it counts.
    pub relation: Option<String>,
}

impl std::str::FromStr for Entity {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self { kind: "file".into(), id: text.into() });
        }
        match text.split_once(':') {
            Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Ok(Self { kind: kind.into(), id: id.into() }),
            _ => Err(format!("'{text}' is not {FORM}")),
        }
    }
}

impl std::str::FromStr for Subject {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self { entity: Entity { kind: "*".into(), id: "*".into() }, relation: None });
        }
        // A path may hold a '#'; a userset of a file is written with its type.
        match text.rsplit_once('#').filter(|_| !text.starts_with('/')) {
            Some((entity, relation)) if !relation.is_empty() => {
                Ok(Self { entity: entity.parse()?, relation: Some(relation.into()) })
            }
            Some(_) => Err(format!("'{text}' ends in '#'; a userset is type:id#relation")),
            None => Ok(Self { entity: text.parse()?, relation: None }),
        }
    }
}

impl Entity {
    /// As the API has it: `[type, id]`.
    #[must_use]
    pub fn to_wire(&self) -> Value {
        json!([self.kind, self.id])
    }
}

impl Subject {
    /// As the API has it: `[type, id]` or `[type, id, relation]`.
    #[must_use]
    pub fn to_wire(&self) -> Value {
        match &self.relation {
            Some(relation) => json!([self.entity.kind, self.entity.id, relation]),
            None => self.entity.to_wire(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_split_at_the_first_colon() {
        let entity = |text: &str| text.parse::<Entity>().map(|e| e.to_wire());
        assert_eq!(entity("user:alice"), Ok(json!(["user", "alice"])));
        assert_eq!(entity("/a/b:c"), Ok(json!(["file", "/a/b:c"])));
        assert_eq!(entity("file:/tenant:x/a"), Ok(json!(["file", "/tenant:x/a"])));
        for wrong in ["alice", ":x", "user:", ""] {
            assert!(entity(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_subject_may_be_a_userset_or_everybody() {
        let subject = |text: &str| text.parse::<Subject>().map(|s| s.to_wire());
        assert_eq!(subject("group:eng#member"), Ok(json!(["group", "eng", "member"])));
        assert_eq!(subject("user:a"), Ok(json!(["user", "a"])));
        assert_eq!(subject("*"), Ok(json!(["*", "*"])));
        assert_eq!(subject("/a#b"), Ok(json!(["file", "/a#b"])));
        assert!(subject("group:eng#").is_err());
    }
}
