//! The schema's types in PostgreSQL's words: the migrations are written once, for SQLite.
//!
//! Owns the rewriting of a migration's text and nothing of when it runs. The texts keep to what both engines know but
//! for the words below; a test compares the tables, columns, keys and nullability that both make of them.

/// Words of SQLite and what PostgreSQL says. Texts are compared by their bytes, as SQLite does, whatever the database's
/// locale is.
const WORDS: &[(&str, &str)] =
    &[("INTEGER", "BIGINT"), ("BLOB", "BYTEA"), ("REAL", "DOUBLE PRECISION"), ("TEXT", "TEXT COLLATE \"C\"")];

/// The text of a migration for PostgreSQL.
pub(in crate::store) fn rewritten(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + sql.len() / 4);
    for line in sql.lines() {
        // Comments may hold any word.
        let code = line.split_once("--").map_or(line, |(code, _)| code);
        rewrite_line(code.trim_end(), &mut out);
        out.push('\n');
    }
    out
}

fn rewrite_line(code: &str, out: &mut String) {
    let code = code.replace(" STRICT, WITHOUT ROWID", "").replace(" WITHOUT ROWID", "").replace(" STRICT", "");
    let mut rest = code.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_uppercase()) {
        let end =
            rest[start..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(rest.len(), |n| start + n);
        let begins = !rest[..start].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let word = &rest[start..end];
        let replaced = WORDS.iter().find(|(lite, _)| begins && *lite == word).map_or(word, |(_, pg)| pg);
        out.push_str(&rest[..start]);
        out.push_str(replaced);
        rest = &rest[end..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_rewritten_and_names_are_not() {
        let lite =
            "CREATE TABLE t ( -- INTEGER\n    INTEGERS INTEGER NOT NULL,\n    b BLOB, c TEXT\n) STRICT, WITHOUT ROWID;";
        let pg = "CREATE TABLE t (\n    INTEGERS BIGINT NOT NULL,\n    b BYTEA, c TEXT COLLATE \"C\"\n);\n";
        assert_eq!(rewritten(lite), pg);
    }
}
