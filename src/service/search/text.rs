//! Searching one body for lines that match.
//!
//! Owns what a line is, what is shown of it and what counts as binary. Knows no paths and no rights.

use grep_matcher::{LineTerminator, Matcher as _};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch};

use crate::service::ServiceError;

/// Longest pattern, bytes.
pub const REGEX_BYTES_MAX: usize = 4096;
/// Largest compiled pattern, bytes.
const COMPILED_BYTES_MAX: usize = 4 << 20;
/// What is shown of a line, or of a match, bytes.
pub const LINE_BYTES_MAX: usize = 2_000;
/// Lines of context before or after a match.
pub const CONTEXT_LINES_MAX: usize = 20;
/// The mark that a text editor may leave before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// Its text without its end, at most [`LINE_BYTES_MAX`]; what is no UTF-8 is shown as U+FFFD.
    pub text: String,
    /// Whether it is longer than what is shown.
    pub cut: bool,
}

/// A line that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The line.
    pub line: Line,
    /// The first match in it, at most [`LINE_BYTES_MAX`].
    pub matched: String,
    /// The lines before it.
    pub before: Vec<Line>,
    /// The lines after it.
    pub after: Vec<Line>,
}

impl Hit {
    /// What it takes in an answer, about; bytes.
    pub(in crate::service) fn bytes(&self) -> usize {
        let context = self.before.iter().chain(&self.after).map(|line| line.text.len() + ROW_BYTES);
        self.line.text.len() + self.matched.len() + ROW_BYTES + context.sum::<usize>()
    }
}

/// What a row takes beside its texts, bytes.
const ROW_BYTES: usize = 64;

/// What to look for in a body.
#[derive(Debug)]
pub(in crate::service) struct TextSearch {
    matcher: RegexMatcher,
    searcher: Searcher,
    before: usize,
    after: usize,
}

impl TextSearch {
    /// Lines that `pattern` matches, with so many lines before and after each.
    pub(in crate::service) fn new(
        pattern: &str,
        ignore_case: bool,
        before: usize,
        after: usize,
    ) -> Result<Self, ServiceError> {
        let refused = |what: &str| ServiceError::InvalidParams(format!("Invalid regex pattern: {what}"));
        if pattern.len() > REGEX_BYTES_MAX {
            return Err(refused(&format!("it is longer than {REGEX_BYTES_MAX} bytes")));
        }
        let mut builder = RegexMatcherBuilder::new();
        builder.case_insensitive(ignore_case).multi_line(true).crlf(true);
        builder.size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX);
        let matcher = builder.build(pattern).map_err(|error| refused(error.to_string().trim()))?;
        let searcher = SearcherBuilder::new()
            .line_terminator(LineTerminator::crlf())
            .line_number(true)
            .binary_detection(BinaryDetection::none())
            .bom_sniffing(false)
            .build();
        Ok(Self { matcher, searcher, before, after })
    }

    /// Gives each line that matches to `each`, until it says that this was enough.
    pub(in crate::service) fn run(&mut self, body: &[u8], each: impl FnMut(Hit) -> bool) -> Result<(), ServiceError> {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let (before, after) = (self.before, self.after);
        let sink = Hits { body, matcher: &self.matcher, before, after, each };
        self.searcher.search_slice(&self.matcher, body, sink).map_err(|error| {
            tracing::error!(%error, "searching a body failed");
            ServiceError::InvalidParams("the pattern cannot be searched for".into())
        })
    }
}

/// Whether a body is no text: it holds a NUL byte.
pub(in crate::service) fn is_binary(body: &[u8]) -> bool {
    body.contains(&0)
}

struct Hits<'a, F> {
    body: &'a [u8],
    matcher: &'a RegexMatcher,
    before: usize,
    after: usize,
    each: F,
}

impl<F: FnMut(Hit) -> bool> Sink for Hits<'_, F> {
    type Error = std::io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, Self::Error> {
        let begin = usize::try_from(found.absolute_byte_offset()).map_err(std::io::Error::other)?;
        let (number, bytes) = (found.line_number().unwrap_or(0), found.bytes());
        let text = without_end(bytes);
        let matched = self.matcher.find(text).ok().flatten().map_or(&[][..], |at| &text[at]);
        let hit = Hit {
            line: line(number, bytes),
            matched: shown(matched).0,
            before: lines_before(&self.body[..begin], self.before, number),
            after: lines_after(&self.body[begin + bytes.len()..], self.after, number),
        };
        Ok((self.each)(hit))
    }
}

fn line(number: u64, bytes: &[u8]) -> Line {
    let (text, cut) = shown(without_end(bytes));
    Line { number, text, cut }
}

fn without_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// The beginning of a text, and whether there is more.
fn shown(bytes: &[u8]) -> (String, bool) {
    let cut = bytes.len() > LINE_BYTES_MAX;
    let mut end = bytes.len().min(LINE_BYTES_MAX);
    // Not in the middle of a character.
    while cut && end > 0 && bytes[end] & 0xc0 == 0x80 && end + 4 > LINE_BYTES_MAX {
        end -= 1;
    }
    (String::from_utf8_lossy(&bytes[..end]).into_owned(), cut)
}

fn lines_before(text: &[u8], most: usize, number: u64) -> Vec<Line> {
    let lines = text.split_inclusive(|byte| *byte == b'\n').rev().take(most);
    let mut lines: Vec<_> = lines.zip(1..).map(|(bytes, back)| line(number - back, bytes)).collect();
    lines.reverse();
    lines
}

fn lines_after(text: &[u8], most: usize, number: u64) -> Vec<Line> {
    let lines = text.split_inclusive(|byte| *byte == b'\n').take(most);
    lines.zip(1..).map(|(bytes, on)| line(number + on, bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(pattern: &str, body: &[u8]) -> Vec<Hit> {
        let mut found = Vec::new();
        let mut search = TextSearch::new(pattern, false, 1, 2).expect(pattern);
        search
            .run(body, |hit| {
                found.push(hit);
                true
            })
            .expect("searched");
        found
    }

    fn numbers(pattern: &str, body: &[u8]) -> Vec<u64> {
        hits(pattern, body).iter().map(|hit| hit.line.number).collect()
    }

    #[test]
    fn lines_and_what_is_around_them() {
        let found = hits("tw.|five", b"one\ntwo\nthree\r\nfour\nfive");
        let texts = |lines: &[Line]| lines.iter().map(|l| (l.number, l.text.clone())).collect::<Vec<_>>();
        assert_eq!((found[0].line.number, found[0].line.text.as_str(), found[0].matched.as_str()), (2, "two", "two"));
        assert_eq!(texts(&found[0].before), [(1, "one".into())]);
        assert_eq!(texts(&found[0].after), [(3, "three".into()), (4, "four".into())]);
        assert_eq!((found[1].line.number, found[1].line.text.as_str()), (5, "five"));
        assert_eq!(texts(&found[1].before), [(4, "four".into())]);
        assert!(found[1].after.is_empty());
    }

    #[test]
    fn the_ends_of_lines() {
        assert_eq!(numbers("o$", b"o\r\no\nox\no"), [1, 2, 4]);
        assert_eq!(numbers("^$", b"a\n\nb\r\n\r\n"), [2, 4]);
        assert_eq!(numbers("^a", b"\xef\xbb\xbfa\na"), [1, 2], "behind a byte order mark");
        assert_eq!(numbers("x", b""), [] as [u64; 0]);
        assert_eq!(numbers("a.b", b"a\nb"), [] as [u64; 0], "never over the end of a line");
        let said = TextSearch::new("a\\nb", false, 0, 0).expect_err("two lines").to_string();
        assert!(said.starts_with("Invalid regex pattern: "), "{said}");
    }

    #[test]
    fn what_is_no_utf8_is_found_and_shown() {
        let found = hits("n.edle", b"\xff\xfe needle \xc3\nn\xc3\xa4edle");
        assert_eq!(found[0].line.text, "\u{fffd}\u{fffd} needle \u{fffd}");
        assert_eq!((found[1].matched.as_str(), found[1].line.cut), ("näedle", false));
        assert!(is_binary(b"a\0b") && !is_binary(b"\xff"));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let long = format!("x{}needle", "ä".repeat(LINE_BYTES_MAX));
        let found = hits("needle", long.as_bytes());
        assert!(found[0].line.cut);
        assert_eq!(found[0].line.text, format!("x{}", "ä".repeat(LINE_BYTES_MAX / 2 - 1)));
        assert_eq!(found[0].matched, "needle");
        let found = hits("x+", "x".repeat(LINE_BYTES_MAX).as_bytes());
        assert_eq!((found[0].line.text.len(), found[0].line.cut), (LINE_BYTES_MAX, false));
        assert_eq!(hits("a+", &[b'a'; 3 * LINE_BYTES_MAX])[0].matched.len(), LINE_BYTES_MAX);
        assert!(shown(&[0x80; LINE_BYTES_MAX + 9]).0.chars().count() >= LINE_BYTES_MAX - 4);
    }

    #[test]
    fn a_bad_pattern_says_why() {
        for pattern in ["(", "a{1000}{1000}{1000}", "\\p{nope}", "(?P<x"] {
            let said = TextSearch::new(pattern, false, 0, 0).expect_err(pattern).to_string();
            assert!(said.starts_with("Invalid regex pattern: ") && said.len() > 30, "{said}");
        }
        assert!(TextSearch::new(&"x".repeat(REGEX_BYTES_MAX + 1), false, 0, 0).is_err());
    }
}
