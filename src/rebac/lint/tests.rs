//! What is warned of, and what is not.

use super::*;
use crate::rebac::Graph;
use serde_json::json;

/// The warnings about the namespace of `kind`, beside the default ones.
fn about(kind: &str, relations: Value, permissions: Value) -> Vec<(String, WarningKind)> {
    let config = json!({"relations": relations, "permissions": permissions});
    let found = Graph::new().validate_namespace(kind, &config).expect("valid");
    assert!(found.iter().all(|w| !w.text.is_empty() && !w.name.is_empty()));
    found.into_iter().map(|w| (w.place, w.kind)).collect()
}

fn one(place: &str, kind: WarningKind) -> Vec<(String, WarningKind)> {
    vec![(place.to_owned(), kind)]
}

#[test]
fn undefined_names_are_told_at_their_place_with_what_was_meant() {
    for (rule, place) in [
        (json!(["a", "ownr"]), "permissions.p[1]"),
        (json!({"union": ["ownr", "a"]}), "permissions.p.union[0]"),
        (json!({"intersection": ["a", {"exclusion": "ownr"}]}), "permissions.p.intersection[1].exclusion"),
        (json!({"union": [{"computed_userset": {"relation": "ownr"}}]}), "permissions.p.union[0].computed_userset"),
    ] {
        let relations = json!({"owner": {}, "a": {}});
        let config = json!({"relations": relations, "permissions": {"p": rule, "q": ["owner", "a"]}});
        let found = Graph::new().validate_namespace("doc", &config).expect("valid");
        let places: Vec<_> = found.iter().map(|w| (w.place.as_str(), w.kind)).collect();
        assert_eq!(places, [(place, WarningKind::UndefinedName)]);
        assert!(found[0].text.contains("did you mean 'owner'?"), "{}", found[0]);
    }
}

#[test]
fn what_lies_behind_a_tupleset_is_looked_up_in_every_type() {
    let through = |tupleset: &str, computed: &str| {
        let rule = json!({"tupleToUserset": {"tupleset": tupleset, "computedUserset": computed}});
        about("doc", json!({"team": {}, "x": rule}), json!({"read": ["x", "team"]}))
    };
    assert_eq!(through("team", "member"), []);
    assert_eq!(through("team", "membr"), one("relations.x.tupleToUserset", WarningKind::UndefinedComputed));
    assert_eq!(through("tem", "member"), one("relations.x.tupleToUserset", WarningKind::UndefinedName));
    // Of a file the parent is its directory: the name must be one of files.
    let parent = |computed: &str| {
        let rule = json!({"tupleToUserset": {"tupleset": "parent", "computedUserset": computed}});
        about("file", json!({"direct_owner": {}, "up": rule}), json!({"read": ["direct_owner", "up"]}))
    };
    assert_eq!(parent("read"), []);
    assert_eq!(parent("member"), one("relations.up.tupleToUserset", WarningKind::UndefinedComputed));
}

#[test]
fn a_tupleset_with_a_rule_is_not_what_it_looks_like() {
    let rule = json!({"tupleToUserset": {"tupleset": "teams", "computedUserset": "member"}});
    let relations = json!({"team": {}, "teams": {"union": ["team"]}, "x": rule});
    assert_eq!(
        about("doc", relations, json!({"read": ["x"]})),
        one("relations.x.tupleToUserset", WarningKind::ComputedTupleset)
    );
}

#[test]
fn relations_without_use_and_permissions_without_holders() {
    assert_eq!(
        about("doc", json!({"a": {}, "b": {}}), json!({"p": ["a"]})),
        one("relations.b", WarningKind::UnusedRelation)
    );
    // The name of a relation that another type asks for is used.
    assert_eq!(about("doc", json!({"member": {}}), json!({})), []);
    for empty in [json!([]), json!({"union": []}), json!(["p"]), json!(["q"]), json!({"intersection": ["a", "q"]})] {
        let found = about("doc", json!({"a": {}}), json!({"p": empty, "q": ["p"], "r": ["a"]}));
        let nobody = |name: &str| (format!("permissions.{name}"), WarningKind::NobodyCanHave);
        assert_eq!(found, [nobody("p"), nobody("q")], "{empty}");
    }
    let up = json!({"tupleToUserset": {"tupleset": "parent", "computedUserset": "up"}});
    assert_eq!(about("file", json!({"up": up}), json!({"p": ["up"]})).len(), 2, "a path leads to nobody");
}

#[test]
fn one_name_with_two_meanings() {
    let relations = json!({"admin": {}, "owner": {}});
    assert_eq!(about("doc", relations.clone(), json!({"admin": ["admin"], "p": ["owner"]})), []);
    assert_eq!(
        about("doc", relations, json!({"admin": ["owner"], "p": ["admin"]})),
        one("permissions.admin", WarningKind::TwoMeanings)
    );
}

#[test]
fn an_exclusion_alone_opens_to_everybody() {
    let relations = json!({"a": {}, "banned": {}, "free": {"exclusion": "banned"}});
    let open = |permission: Value| about("doc", relations.clone(), json!({"p": permission, "q": ["a"]}));
    let told = one("permissions.p", WarningKind::DefaultAllow);
    assert_eq!(open(json!(["free"])), told);
    assert_eq!(open(json!(["a", "free"])), told);
    assert_eq!(open(json!({"exclusion": {"exclusion": {"exclusion": "free"}}})), []);
    assert_eq!(open(json!({"exclusion": {"exclusion": "free"}})), told);
    assert_eq!(open(json!({"intersection": ["a", "free"]})), []);
    assert_eq!(open(json!({"intersection": ["free", {"exclusion": "a"}]})), told);
    // A relation that no rule reads is whole.
    assert_eq!(
        about("doc", json!({"banned": {}, "free": {"exclusion": "banned"}}), json!({"p": ["banned"]})),
        [
            ("relations.free".to_owned(), WarningKind::UnusedRelation),
            ("relations.free".to_owned(), WarningKind::DefaultAllow)
        ]
    );
}
