//! Comma-separated text, read strictly and written plainly (RFC 4180).
//!
//! Whoever reads a table in order to hide a part of it must not guess: what could be read in two ways is an error, and
//! an error never quotes the text.

use std::borrow::Cow;

/// The rows of a text, one after the other.
#[derive(Debug)]
pub struct Rows<'a> {
    rest: &'a str,
    line: usize,
    /// Fields of the first row: every other must have as many.
    width: Option<usize>,
}

impl<'a> Rows<'a> {
    /// From the beginning; a byte order mark is no part of the first name.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        Self { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 0, width: None }
    }

    /// Puts the next row into `row`; false at the end. Empty lines between rows of several fields are passed by.
    pub fn read(&mut self, row: &mut Vec<Cow<'a, str>>) -> Result<bool, String> {
        loop {
            row.clear();
            if self.rest.is_empty() {
                return Ok(false);
            }
            self.line += 1;
            while self.field(row)? {}
            let blank = matches!(row.as_slice(), [only] if only.is_empty());
            match self.width {
                Some(width) if row.len() == width => return Ok(true),
                _ if blank => {}
                Some(width) => return Err(format!("row {} has {} fields, not {width}", self.line, row.len())),
                None => {
                    self.width = Some(row.len());
                    return Ok(true);
                }
            }
        }
    }

    /// Reads a field; whether another one follows in this row.
    fn field(&mut self, row: &mut Vec<Cow<'a, str>>) -> Result<bool, String> {
        let value = match self.rest.strip_prefix('"') {
            Some(quoted) => self.quoted(quoted)?,
            None => {
                let end = self.rest.find([',', '\n', '\r', '"']).unwrap_or(self.rest.len());
                let (value, rest) = self.rest.split_at(end);
                self.rest = rest;
                Cow::Borrowed(value)
            }
        };
        row.push(value);
        for (end, more) in [(",", true), ("\r\n", false), ("\n", false)] {
            if let Some(rest) = self.rest.strip_prefix(end) {
                self.rest = rest;
                return Ok(more);
            }
        }
        match self.rest.is_empty() {
            true => Ok(false),
            false => Err(format!("row {} has a quote or a carriage return in the wrong place", self.line)),
        }
    }

    /// Reads up to the closing quote, which is no double one.
    fn quoted(&mut self, mut rest: &'a str) -> Result<Cow<'a, str>, String> {
        let mut value = Cow::Borrowed("");
        loop {
            let Some((part, after)) = rest.split_once('"') else {
                return Err(format!("row {} has a quote that is not closed", self.line));
            };
            value += part;
            match after.strip_prefix('"') {
                Some(again) => {
                    value += "\"";
                    rest = again;
                }
                None => {
                    self.rest = after;
                    return Ok(value);
                }
            }
        }
    }
}

/// Appends a row.
pub fn write<'f>(out: &mut String, fields: impl Iterator<Item = &'f str>) {
    let (mut count, mut empty) = (0, true);
    for field in fields {
        if count > 0 {
            out.push(',');
        }
        count += 1;
        empty = field.is_empty();
        if field.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(field);
        }
    }
    // Alone in its row, an empty field would look like no row.
    if count == 1 && empty {
        out.push_str("\"\"");
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<Vec<String>>, String> {
        let (mut rows, mut row, mut all) = (Rows::of(text), Vec::new(), Vec::new());
        while rows.read(&mut row)? {
            all.push(row.iter().map(|field| field.clone().into_owned()).collect());
        }
        Ok(all)
    }

    #[test]
    fn fields_may_be_quoted_and_lines_end_either_way() {
        let wanted = vec![vec!["a", "b"], vec!["1,2", "say \"hi\"\nthere"], vec!["", "é"]];
        let text = "\u{feff}a,b\r\n\"1,2\",\"say \"\"hi\"\"\nthere\"\n\n,é";
        assert_eq!(rows(text).expect("rows"), wanted);
        assert_eq!(rows("").expect("none"), Vec::<Vec<String>>::new());
        assert_eq!(rows("a\n\"\"\n").expect("one field"), vec![vec!["a"], vec![""]]);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for wrong in ["a,b\n1\n", "a,b\n1,2,3\n", "a\"b,c\n", "\"a\"b,c\n", "\"a,b\n", "a,b\r1,2\n", "a,b\n1,\"2"] {
            let error = rows(wrong).expect_err(wrong);
            assert!(error.starts_with("row "), "{error}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for table in
            [vec![vec!["a", "b,c"], vec!["\"", "x\r\ny"], vec!["", ""]], vec![vec!["only"], vec![""], vec!["x"]]]
        {
            let mut text = String::new();
            for row in &table {
                write(&mut text, row.iter().copied());
            }
            assert_eq!(rows(&text).expect("rows"), table, "{text:?}");
        }
    }
}
