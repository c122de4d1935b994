//! What column rules make of a table.
//!
//! Whole or not at all: a table that is not read to its end, a column that is not there, a figure that cannot be made,
//! and nothing is shown. Errors name columns and rows, never what stands in them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::TABLE_BYTES_MAX;
use super::aggregate::Values;
use super::csv::{self, Rows};
use super::rules::{ColumnRules, Fate};

/// Largest result, bytes.
const FILTERED_BYTES_MAX: usize = 4 * TABLE_BYTES_MAX;

/// What is shown of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Filtered {
    /// The table.
    pub text: String,
    /// The columns that are shown as they are, in order.
    pub shown: Vec<String>,
    /// The names of the columns that hold one figure, e.g. `mean(age)`, in order.
    pub aggregated: Vec<String>,
    /// The figures by column and operation.
    pub aggregations: Map<String, Value>,
}

/// What stands in a place of every row.
enum Place {
    /// The field of the table.
    Field(usize),
    /// Always the same.
    Figure(String),
}

/// The part of a table that the rules show, or why they cannot be applied.
pub fn apply(rules: &ColumnRules, bytes: &[u8]) -> Result<Filtered, String> {
    if bytes.len() > TABLE_BYTES_MAX {
        return Err(format!("the table has more than {TABLE_BYTES_MAX} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "the table is no UTF-8 text".to_owned())?;
    let names = header(rules, text)?;
    let fates: Vec<Fate> = names.iter().map(|name| rules.fate(name)).collect();
    let mut figures = figures(&fates, &names, text)?.into_iter();

    let mut filtered =
        Filtered { text: String::new(), shown: Vec::new(), aggregated: Vec::new(), aggregations: Map::new() };
    let (mut places, mut heading) = (Vec::new(), Vec::new());
    for (at, (name, fate)) in names.iter().zip(&fates).enumerate() {
        match fate {
            Fate::Hidden => {}
            Fate::Shown => {
                filtered.shown.push(name.to_string());
                heading.push(name.to_string());
                places.push(Place::Field(at));
            }
            Fate::Aggregated(op) => {
                let (cell, value) = figures.next().unwrap_or_default();
                let title = format!("{}({name})", op.as_str());
                let by_operation = Map::from_iter([(op.as_str().to_owned(), value)]);
                filtered.aggregations.insert(name.to_string(), by_operation.into());
                filtered.aggregated.push(title.clone());
                heading.push(title);
                places.push(Place::Figure(cell));
            }
        }
    }
    if places.is_empty() {
        return Err("no column is left to be shown".into());
    }
    csv::write(&mut filtered.text, heading.iter().map(String::as_str));
    let (mut rows, mut row) = (Rows::of(text), Vec::new());
    rows.read(&mut row)?;
    while rows.read(&mut row)? {
        let cells = places.iter().map(|place| match place {
            Place::Field(at) => row.get(*at).map_or("", |cell| cell),
            Place::Figure(cell) => cell,
        });
        csv::write(&mut filtered.text, cells);
        if filtered.text.len() > FILTERED_BYTES_MAX {
            return Err(format!("what is shown has more than {FILTERED_BYTES_MAX} bytes"));
        }
    }
    Ok(filtered)
}

/// The names of the columns: each once, and all that the rules name.
fn header<'a>(rules: &ColumnRules, text: &'a str) -> Result<Vec<Cow<'a, str>>, String> {
    let mut names = Vec::new();
    Rows::of(text).read(&mut names)?;
    if let Some(missing) = rules.named().find(|wanted| !names.iter().any(|name| name == wanted)) {
        return Err(format!("the table has no column '{missing}'"));
    }
    let mut sorted: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    sorted.sort_unstable();
    match sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        true => Err("the table has two columns of one name".into()),
        false => Ok(names),
    }
}

/// The figures in order of their columns, as a cell and as JSON. Reads the whole table.
fn figures(fates: &[Fate], names: &[Cow<'_, str>], text: &str) -> Result<Vec<(String, Value)>, String> {
    let aggregated = fates.iter().enumerate().filter_map(|(at, fate)| match fate {
        Fate::Aggregated(op) => Some((at, Values::new(*op))),
        _ => None,
    });
    let mut wanted: Vec<(usize, Values)> = aggregated.collect();
    let no_number = |at: usize| {
        let name = names.get(at).map_or("", AsRef::as_ref);
        format!("column '{name}' holds something that no figure can be made of")
    };
    let (mut rows, mut row) = (Rows::of(text), Vec::new());
    rows.read(&mut row)?;
    while rows.read(&mut row)? {
        for (at, values) in &mut wanted {
            let cell = row.get(*at).map_or("", |cell| cell);
            values.add(cell).map_err(|()| no_number(*at))?;
        }
    }
    let figure = |(at, values): (usize, Values)| values.figure().map_err(|()| no_number(at));
    wanted.into_iter().map(|one| figure(one).map(|figure| (figure.text(), figure.value()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TABLE: &str = "name,email,age,password\nalice,a@x,30,hunter2\nbob,b@x,25,\"pass,word\"\n";

    fn filtered(rules: Value, table: &[u8]) -> Result<Filtered, String> {
        apply(&ColumnRules::parse(&rules).expect("rules"), table)
    }

    #[test]
    fn hidden_columns_go_and_figures_stand_in_place() {
        let rules = json!({"hidden_columns": ["password"], "aggregations": {"age": "mean"}});
        let shown = filtered(rules, TABLE.as_bytes()).expect("a table");
        assert_eq!(shown.text, "name,email,mean(age)\nalice,a@x,27.5\nbob,b@x,27.5\n");
        assert_eq!((shown.shown, shown.aggregated), (vec!["name".into(), "email".into()], vec!["mean(age)".into()]));
        assert_eq!(Value::from(shown.aggregations), json!({"age": {"mean": 27.5}}));
        let only = filtered(json!({"visible_columns": ["name"]}), TABLE.as_bytes()).expect("a table");
        assert_eq!(only.text, "name\nalice\nbob\n");
        let all = filtered(json!({}), TABLE.as_bytes()).expect("a table");
        assert_eq!(all.text, TABLE);
    }

    #[test]
    fn a_doubt_shows_nothing_and_tells_nothing() {
        let hide = json!({"hidden_columns": ["password"]});
        let mean = json!({"hidden_columns": ["password"], "aggregations": {"name": "mean"}});
        let nothing = json!({"hidden_columns": ["name", "email", "age", "password"]});
        let twice = TABLE.replace("email", "password");
        let ragged = format!("{TABLE}carol,c@x,hunter3\n");
        let open = format!("{TABLE}\"carol,c@x,1,hunter3\n");
        let other = TABLE.replace("password", " password");
        let semicolons = TABLE.replace(',', ";");
        let latin = [TABLE.as_bytes(), b"\xe9,x,1,hunter3\n"].concat();
        for (rules, table) in [
            (&hide, twice.as_bytes()),
            (&hide, ragged.as_bytes()),
            (&hide, open.as_bytes()),
            (&hide, other.as_bytes()),
            (&hide, semicolons.as_bytes()),
            (&hide, latin.as_slice()),
            (&hide, b""),
            (&mean, TABLE.as_bytes()),
            (&nothing, TABLE.as_bytes()),
            (&hide, &vec![b'a'; TABLE_BYTES_MAX + 1]),
        ] {
            let error = filtered(rules.clone(), table).expect_err("refused");
            assert!(!error.contains("hunter") && !error.contains("alice"), "{error}");
        }
    }
}
