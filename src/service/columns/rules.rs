//! Column rules: which columns of a table are hidden, which are shown as one figure, and which are shown.
//!
//! Invariant: rules that are put together show no more than each of them does alone.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

/// Columns that rules may name.
const COLUMNS_MAX: usize = 1_000;
/// Longest rules, bytes of JSON.
const RULES_BYTES_MAX: usize = 64 * 1024;
const HIDDEN: &str = "hidden_columns";
const AGGREGATIONS: &str = "aggregations";
const VISIBLE: &str = "visible_columns";

/// What a column is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The arithmetic mean.
    Mean,
    /// The sum.
    Sum,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The standard deviation of a sample.
    Std,
    /// The median.
    Median,
    /// How many values there are.
    Count,
}

impl Operation {
    /// All of them, with their names.
    const ALL: [(&'static str, Self); 7] = [
        ("mean", Self::Mean),
        ("sum", Self::Sum),
        ("min", Self::Min),
        ("max", Self::Max),
        ("std", Self::Std),
        ("median", Self::Median),
        ("count", Self::Count),
    ];

    /// As clients call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("count", |(name, _)| name)
    }

    fn parse(text: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, op)| *op).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            format!("aggregations: there is no operation '{text}'; there are {names}")
        })
    }
}

/// What becomes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is shown as it is.
    Shown,
    /// One figure stands in its place.
    Aggregated(Operation),
    /// It is left out.
    Hidden,
}

/// Which columns of a table are shown, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnRules {
    hidden: Vec<String>,
    aggregations: Vec<(String, Operation)>,
    visible: Vec<String>,
    /// Whether columns that are not named are hidden, too.
    only_named: bool,
}

impl ColumnRules {
    /// Reads what a client sent or what is stored. What is not understood is an error: it might hide something.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let Value::Object(map) = value else { return Err("column_config must be an object".into()) };
        if let Some(key) = map.keys().find(|key| ![HIDDEN, AGGREGATIONS, VISIBLE].contains(&key.as_str())) {
            return Err(format!("column_config has no '{key}'; it has {HIDDEN}, {AGGREGATIONS} and {VISIBLE}"));
        }
        if value.to_string().len() > RULES_BYTES_MAX {
            return Err(format!("column_config is longer than {RULES_BYTES_MAX} bytes"));
        }
        let aggregations = match map.get(AGGREGATIONS) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(wanted)) => wanted.iter().map(aggregation).collect::<Result<_, _>>()?,
            Some(_) => return Err(format!("{AGGREGATIONS} must be an object of column and operation")),
        };
        let (hidden, visible) = (names(map, HIDDEN)?, names(map, VISIBLE)?);
        let only_named = !visible.is_empty();
        let rules = Self { hidden, aggregations, visible, only_named };
        let mut seen = HashSet::new();
        for name in rules.named() {
            if name.is_empty() {
                return Err("a column without a name cannot be ruled".into());
            }
            if !seen.insert(name) {
                return Err(format!("column '{name}' is named twice; a column is hidden, aggregated or visible"));
            }
        }
        match seen.len() > COLUMNS_MAX {
            true => Err(format!("column_config names more than {COLUMNS_MAX} columns")),
            false => Ok(rules),
        }
    }

    /// As clients know them. Rules that were put together may hide all other columns without showing one; they say so
    /// with `others_hidden`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let aggregations: Map<String, Value> =
            self.aggregations.iter().map(|(name, op)| (name.clone(), op.as_str().into())).collect();
        let mut value = json!({ HIDDEN: self.hidden, AGGREGATIONS: aggregations, VISIBLE: self.visible });
        if self.only_named && self.visible.is_empty() {
            value["others_hidden"] = true.into();
        }
        value
    }

    /// Every column that is named: all of them must be there.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let aggregated = self.aggregations.iter().map(|(name, _)| name);
        self.hidden.iter().chain(aggregated).chain(&self.visible).map(String::as_str)
    }

    /// What becomes of a column.
    #[must_use]
    pub fn fate(&self, column: &str) -> Fate {
        if self.hidden.iter().any(|name| name == column) {
            return Fate::Hidden;
        }
        if let Some((_, op)) = self.aggregations.iter().find(|(name, _)| name == column) {
            return Fate::Aggregated(*op);
        }
        let shown = !self.only_named || self.visible.iter().any(|name| name == column);
        if shown { Fate::Shown } else { Fate::Hidden }
    }

    /// The rules of two grants that bind the same reader: a column is shown only if both show it, and as a figure if one
    /// does so; where they want different figures it is hidden.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut both = Self { only_named: self.only_named || other.only_named, ..Self::default() };
        let mut seen = HashSet::new();
        for name in self.named().chain(other.named()).filter(|name| seen.insert((*name).to_owned())) {
            match (self.fate(name), other.fate(name)) {
                (Fate::Hidden, _) | (_, Fate::Hidden) => both.hidden.push(name.to_owned()),
                (Fate::Aggregated(a), Fate::Aggregated(b)) if a != b => both.hidden.push(name.to_owned()),
                (Fate::Aggregated(op), _) | (_, Fate::Aggregated(op)) => both.aggregations.push((name.to_owned(), op)),
                (Fate::Shown, Fate::Shown) if both.only_named => both.visible.push(name.to_owned()),
                (Fate::Shown, Fate::Shown) => {}
            }
        }
        both
    }
}

fn aggregation((name, op): (&String, &Value)) -> Result<(String, Operation), String> {
    let op = op.as_str().ok_or_else(|| format!("{AGGREGATIONS}: the operation of '{name}' must be a text"))?;
    Ok((name.clone(), Operation::parse(op)?))
}

fn names(map: &Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("{key} must be a list of column names");
    match map.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            list.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(value: Value) -> ColumnRules {
        ColumnRules::parse(&value).expect("rules")
    }

    #[test]
    fn each_column_has_one_fate() {
        let some = rules(json!({"hidden_columns": ["a"], "aggregations": {"b": "mean"}}));
        assert_eq!((some.fate("a"), some.fate("b")), (Fate::Hidden, Fate::Aggregated(Operation::Mean)));
        assert_eq!(some.fate("new"), Fate::Shown, "without visible columns all the rest is shown");
        let few = rules(json!({"visible_columns": ["a"], "aggregations": null}));
        assert_eq!((few.fate("a"), few.fate("new")), (Fate::Shown, Fate::Hidden));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for wrong in [
            json!(null),
            json!([]),
            json!({"hidden_colums": ["a"]}),
            json!({"hidden_columns": "a"}),
            json!({"hidden_columns": [1]}),
            json!({"hidden_columns": [""]}),
            json!({"hidden_columns": ["a", "a"]}),
            json!({"hidden_columns": ["a"], "visible_columns": ["a"]}),
            json!({"hidden_columns": ["a"], "aggregations": {"a": "sum"}}),
            json!({"aggregations": {"a": "product"}}),
            json!({"aggregations": {"a": ["sum"]}}),
            json!({"aggregations": ["a"]}),
            json!({"others_hidden": true}),
        ] {
            assert!(ColumnRules::parse(&wrong).is_err(), "{wrong}");
        }
    }

    /// Whether `few` shows nothing of a column that `more` does not show.
    fn within(few: Fate, more: Fate) -> bool {
        few == Fate::Hidden || more == Fate::Shown || few == more
    }

    #[test]
    fn rules_put_together_show_no_more_than_each() {
        let all = [
            json!({}),
            json!({"hidden_columns": ["a"]}),
            json!({"visible_columns": ["a", "b"]}),
            json!({"visible_columns": ["b", "c"]}),
            json!({"visible_columns": ["d"], "hidden_columns": ["a"]}),
            json!({"aggregations": {"a": "sum", "b": "mean"}}),
            json!({"aggregations": {"a": "mean"}, "visible_columns": ["c"]}),
        ]
        .map(rules);
        for one in &all {
            for other in &all {
                let both = one.and(other);
                for column in ["a", "b", "c", "d", "e"] {
                    let fate = both.fate(column);
                    assert!(within(fate, one.fate(column)) && within(fate, other.fate(column)), "{one:?} {other:?}");
                    assert_eq!(fate, other.and(one).fate(column));
                }
                let named: HashSet<&str> = both.named().collect();
                assert!(one.fate("x") != Fate::Hidden || both.fate("x") == Fate::Hidden);
                assert!(one.hidden.iter().all(|name| named.contains(name.as_str())));
            }
            assert_eq!(all[0].and(one).to_value()[HIDDEN], one.to_value()[HIDDEN]);
        }
        let nothing = rules(json!({"visible_columns": ["a"]})).and(&rules(json!({"visible_columns": ["b"]})));
        assert_eq!(
            (nothing.fate("a"), nothing.fate("b"), nothing.fate("c")),
            (Fate::Hidden, Fate::Hidden, Fate::Hidden)
        );
        assert_eq!(nothing.to_value()["others_hidden"], true);
    }
}
