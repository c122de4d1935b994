//! Patterns for paths: what a glob means here, and whether a path matches one.
//!
//! Owns the syntax and its errors. Knows no nodes and no rights. Invariant: no wildcard ever matches a `/`, and
//! everything counts in characters, so that `?` is one letter in every script (which is why the patterns are not those
//! of `globset`: its `?` and its classes match bytes).

use grep_matcher::Matcher as _;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};

use crate::model::VirtualPath;
use crate::service::ServiceError;

/// Longest pattern, bytes.
pub const PATTERN_BYTES_MAX: usize = 4096;
/// Largest compiled pattern, bytes; counted classes in braces may become large.
const COMPILED_BYTES_MAX: usize = 4 << 20;
/// Braces in braces.
const BRACES_MAX: usize = 10;
/// First components with which a pattern asked at `/` is anchored there (contract §3.3).
const ANCHORED_AT_ROOT: [&str; 3] = ["workspace/", "shared/", "external/"];

/// A compiled pattern for whole paths.
#[derive(Debug, Clone)]
pub struct Glob {
    matcher: RegexMatcher,
    prefix: String,
}

impl Glob {
    /// The pattern of a search below `base`: relative to it, or, if it begins with `/`, for the whole path. Asked at
    /// `/`, one with a `/` inside and without `**` matches at any depth.
    pub fn below(base: &VirtualPath, pattern: &str) -> Result<Self, ServiceError> {
        let relative = checked(pattern)?;
        let anywhere = base.is_root()
            && relative.trim_end_matches('/').contains('/')
            && !relative.contains("**")
            && !ANCHORED_AT_ROOT.iter().any(|first| relative.starts_with(first));
        match pattern.strip_prefix('/') {
            Some(absolute) => Self::compile(&VirtualPath::root(), false, absolute, pattern),
            None => Self::compile(base, anywhere, pattern, pattern),
        }
    }

    /// The filter of files of a search below `base`: as [`below`](Self::below), and a pattern without a `/` is one for
    /// the file's name, at any depth.
    pub fn file_filter(base: &VirtualPath, pattern: &str) -> Result<Self, ServiceError> {
        if checked(pattern)?.contains('/') {
            return Self::below(base, pattern);
        }
        Self::compile(base, true, pattern, pattern)
    }

    /// `pattern` is the end of `asked`, which errors show.
    fn compile(base: &VirtualPath, anywhere: bool, pattern: &str, asked: &str) -> Result<Self, ServiceError> {
        let mut writer = Writer { regex: String::from(r"\A"), prefix: String::new(), fixed: true };
        base.as_str().chars().for_each(|c| writer.text(c));
        if !base.is_root() {
            writer.text('/');
        }
        if anywhere {
            writer.wildcard("(?:[^/]+/)*");
        }
        let place = |at: usize| asked[..asked.len() - pattern.len() + at].chars().count() + 1;
        writer.pattern(pattern.trim_end_matches('/')).map_err(|(at, what)| refused(asked, place(at), what))?;
        writer.regex.push_str(r"\z");
        let matcher = RegexMatcherBuilder::new().size_limit(COMPILED_BYTES_MAX).build(&writer.regex);
        let matcher = matcher.map_err(|_| refused(asked, 1, "it is too complex"))?;
        Ok(Self { matcher, prefix: writer.prefix })
    }

    /// Whether the path matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        // This matcher cannot fail.
        self.matcher.is_match(path.as_bytes()).unwrap_or(false)
    }

    /// The text that every match begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// The pattern, if its length makes sense.
fn checked(pattern: &str) -> Result<&str, ServiceError> {
    if pattern.trim_matches('/').is_empty() {
        return Err(ServiceError::InvalidParams("Invalid glob pattern: it is empty".into()));
    }
    if pattern.len() > PATTERN_BYTES_MAX {
        let what = format!("Invalid glob pattern: it is longer than {PATTERN_BYTES_MAX} bytes");
        return Err(ServiceError::InvalidParams(what));
    }
    Ok(pattern)
}

fn refused(pattern: &str, place: usize, what: &str) -> ServiceError {
    ServiceError::InvalidParams(format!("Invalid glob pattern: {what} at character {place} of '{pattern}'"))
}

/// Writes a regular expression, and the text that every match begins with.
struct Writer {
    regex: String,
    prefix: String,
    /// Whether nothing but text was written.
    fixed: bool,
}

/// Where in the pattern, bytes, and what is wrong.
type Bad = (usize, &'static str);

impl Writer {
    fn text(&mut self, c: char) {
        if self.fixed {
            self.prefix.push(c);
        }
        escape(&mut self.regex, c);
    }

    fn wildcard(&mut self, regex: &str) {
        self.fixed = false;
        self.regex.push_str(regex);
    }

    fn pattern(&mut self, pattern: &str) -> Result<(), Bad> {
        let mut braces: Vec<usize> = Vec::new();
        let mut chars = pattern.char_indices().peekable();
        let mut before = '/';
        while let Some((at, c)) = chars.next() {
            let rest = &pattern[at + c.len_utf8()..];
            match c {
                '*' if rest.starts_with('*') => {
                    chars.next();
                    let whole = matches!(before, '/' | '{' | ',');
                    match rest[1..].chars().next() {
                        Some('/') if whole => {
                            chars.next();
                            self.wildcard("(?:[^/]+/)*");
                            before = '/';
                            continue;
                        }
                        None | Some('}' | ',') if whole => self.wildcard("[^/]+(?:/[^/]+)*"),
                        _ => self.wildcard("[^/]*"),
                    }
                }
                '*' => self.wildcard("[^/]*"),
                '?' => self.wildcard("[^/]"),
                '[' => {
                    self.fixed = false;
                    let length = class(&mut self.regex, rest).map_err(|(inside, what)| (at + inside, what))?;
                    while chars.next_if(|(next, _)| *next < at + 1 + length).is_some() {}
                }
                '{' => {
                    braces.push(at);
                    if braces.len() > BRACES_MAX {
                        return Err((at, "braces are nested too deep"));
                    }
                    self.wildcard("(?:");
                }
                '}' => {
                    braces.pop().ok_or((at, "a '}' closes nothing"))?;
                    self.regex.push(')');
                }
                ',' if !braces.is_empty() => self.regex.push('|'),
                '\\' => self.text(chars.next().ok_or((at, "a '\\' escapes nothing"))?.1),
                c => self.text(c),
            }
            before = c;
        }
        braces.first().map_or(Ok(()), |at| Err((*at, "a '{' is not closed")))
    }
}

/// Appends the class that follows a `[`; its length without the `[`, bytes.
fn class(regex: &mut String, text: &str) -> Result<usize, Bad> {
    let mut chars = text.char_indices().peekable();
    let negated = chars.next_if(|(_, c)| matches!(c, '!' | '^')).is_some();
    regex.push_str(if negated { "[^" } else { "[" });
    let mut first = true;
    while let Some((at, c)) = chars.next() {
        if c == ']' && !first {
            regex.push_str(if negated { "/]" } else { "&&[^/]]" });
            return Ok(at + 1);
        }
        first = false;
        escape(regex, c);
        let dash = chars.peek().is_some_and(|(_, c)| *c == '-');
        let range = dash && text[at + c.len_utf8() + 1..].chars().next().is_some_and(|end| end != ']');
        if range {
            chars.next();
            let end = chars.next().map_or(c, |(_, end)| end);
            if end < c {
                return Err((at + 1, "a range goes backwards"));
            }
            regex.push('-');
            escape(regex, end);
        }
    }
    Err((0, "a '[' is not closed"))
}

/// Appends a character that stands for itself.
fn escape(regex: &mut String, c: char) {
    if r"\.+*?()|[]{}^$#&-~".contains(c) {
        regex.push('\\');
    }
    regex.push(c);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(base: &str, pattern: &str) -> Glob {
        Glob::below(&VirtualPath::parse(base).expect(base), pattern).expect(pattern)
    }

    fn bad(pattern: &str) -> String {
        Glob::below(&VirtualPath::root(), pattern).expect_err(pattern).to_string()
    }

    #[test]
    fn wildcards() {
        for (pattern, matching, others) in [
            ("*.py", &["/s/a.py", "/s/.py", "/s/.hidden.py"][..], &["/s/d/a.py", "/s/a.PY", "/s/a.pyc", "/a.py"][..]),
            ("**/*.py", &["/s/a.py", "/s/d/a.py", "/s/d/e/a.py"], &["/s/d/a.txt", "/sx/a.py"]),
            ("**", &["/s/a", "/s/a/b"], &["/s", "/s2/a"]),
            ("d/**", &["/s/d/a", "/s/d/a/b"], &["/s/d", "/s/da"]),
            ("d/**/x", &["/s/d/x", "/s/d/a/x", "/s/d/a/b/x"], &["/s/dx", "/s/d/ax"]),
            ("a**b", &["/s/ab", "/s/axyb"], &["/s/a/b"]),
            ("f?.txt", &["/s/f1.txt", "/s/fä.txt", "/s/f文.txt"], &["/s/f.txt", "/s/f12.txt", "/s/f/.txt"]),
            ("f[0-9ä].txt", &["/s/f1.txt", "/s/fä.txt"], &["/s/fx.txt"]),
            ("f[!0-9].txt", &["/s/fx.txt", "/s/f文.txt"], &["/s/f1.txt", "/s/f/.txt"]),
            ("f[^0-9].txt", &["/s/fx.txt"], &["/s/f1.txt"]),
            ("f[.-0].txt", &["/s/f..txt", "/s/f0.txt"], &["/s/f/.txt"]),
            ("[]x]", &["/s/]", "/s/x"], &["/s/y"]),
            ("[a-]", &["/s/a", "/s/-"], &["/s/b"]),
            ("{a,b/**,c*}.txt", &["/s/a.txt", "/s/cd.txt"], &["/s/b.txt"]),
            ("{a,b}/*.{md,txt}", &["/s/a/x.md", "/s/b/y.txt"], &["/s/c/x.md", "/s/a/x.py"]),
            ("a_b%", &["/s/a_b%"], &["/s/axb%", "/s/a_bc"]),
            (r"\*\[x\]", &["/s/*[x]"], &["/s/a[x]"]),
            ("a.b+c(d)|e$", &["/s/a.b+c(d)|e$"], &["/s/axb+c(d)|e$"]),
            ("a,b", &["/s/a,b"], &["/s/a"]),
            ("dir/", &["/s/dir"], &["/s/dir/x"]),
            ("/s/*", &["/s/a"], &["/s/a/b", "/s/s/a"]),
        ] {
            let glob = glob("/s", pattern);
            for path in matching {
                assert!(glob.matches(path), "{pattern} {path}");
                assert!(path.starts_with(glob.prefix()), "{pattern} {}", glob.prefix());
            }
            for path in others {
                assert!(!glob.matches(path), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn at_the_root_a_path_matches_at_any_depth() {
        assert!(glob("/", "data/*.csv").matches("/x/y/data/a.csv"));
        assert!(glob("/", "data/*.csv").matches("/data/a.csv"));
        assert!(!glob("/", "workspace/*.csv").matches("/x/workspace/a.csv"));
        assert!(!glob("/", "/data/*.csv").matches("/x/data/a.csv"));
        assert!(!glob("/", "*.csv").matches("/data/a.csv"));
        assert!(!glob("/d", "data/*.csv").matches("/d/x/data/a.csv"));
    }

    #[test]
    fn a_file_filter_without_a_slash_is_for_names() {
        let filter = |pattern| Glob::file_filter(&VirtualPath::parse("/s").expect("a path"), pattern).expect(pattern);
        assert!(filter("*.py").matches("/s/d/e/a.py"));
        assert!(filter("*.py").matches("/s/a.py"));
        assert!(!filter("d/*.py").matches("/s/x/d/a.py"));
    }

    #[test]
    fn what_every_match_begins_with() {
        for (pattern, prefix) in
            [("src/ma*.rs", "/s/src/ma"), ("**", "/s/"), ("a/b", "/s/a/b"), ("a{b,c}", "/s/a"), (r"a\*?", "/s/a*")]
        {
            assert_eq!(glob("/s", pattern).prefix(), prefix);
        }
        assert_eq!(glob("/", "a/b").prefix(), "/");
        assert_eq!(glob("/", "/a/b").prefix(), "/a/b");
    }

    #[test]
    fn a_bad_pattern_says_where() {
        for (pattern, wanted) in [
            ("ä[x", "a '[' is not closed at character 2"),
            ("x[z-a]", "a range goes backwards at character 3"),
            ("a/{b,c", "a '{' is not closed at character 3"),
            ("/a}", "a '}' closes nothing at character 3"),
            ("a\\", "a '\\' escapes nothing at character 2"),
            ("", "it is empty"),
            ("//", "it is empty"),
        ] {
            let said = bad(pattern);
            assert!(said.starts_with("Invalid glob pattern: ") && said.contains(wanted), "{pattern}: {said}");
        }
        assert!(bad(&"x".repeat(PATTERN_BYTES_MAX + 1)).contains("longer than 4096 bytes"));
        assert!(bad(&"{".repeat(11)).contains("nested too deep at character 11"));
    }
}
