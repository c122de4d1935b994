//! Globs over paths, as subscriptions have them: anchored at both ends, `**/` for any directories or none, `**` for
//! anything, `*` for anything without a slash, `?` for one character that is none.
//!
//! Takes time by the product of both lengths at most, whatever is asked.

/// Longest glob, characters.
pub const PATTERN_CHARS_MAX: usize = 1_024;
/// Globs of one list.
pub const PATTERNS_MAX: usize = 64;

/// A part of a glob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// This character.
    Char(char),
    /// `?`
    One,
    /// `*`
    Some,
    /// `**`
    Any,
    /// `**/`
    Directories,
}

/// A glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Token>);

impl Pattern {
    /// Reads a glob; every text is one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let (mut tokens, mut rest) = (Vec::new(), text);
        while let Some(first) = rest.chars().next() {
            let (token, bytes) = match first {
                '*' if rest.starts_with("**/") => (Token::Directories, 3),
                '*' if rest.starts_with("**") => (Token::Any, 2),
                '*' => (Token::Some, 1),
                '?' => (Token::One, 1),
                other => (Token::Char(other), other.len_utf8()),
            };
            tokens.push(token);
            rest = &rest[bytes..];
        }
        Self(tokens)
    }

    /// Whether the whole of `path` is matched.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        // States of all ways at once: in front of which tokens the match may stand.
        let mut here = vec![false; self.0.len() + 1];
        here[0] = true;
        self.skip(&mut here, true);
        for character in path.chars() {
            let mut next = vec![false; here.len()];
            for (at, token) in self.0.iter().enumerate().filter(|(at, _)| here[*at]) {
                match token {
                    Token::Char(wanted) => next[at + 1] |= *wanted == character,
                    Token::One => next[at + 1] |= character != '/',
                    Token::Some => next[at] |= character != '/',
                    // Within it anything; it ends behind a slash only.
                    Token::Any | Token::Directories => next[at] = true,
                }
            }
            self.skip(&mut next, character == '/');
            here = next;
        }
        // A match that stands within `**/` has not come to its slash.
        here[self.0.len()]
    }

    /// Takes in what may stand for nothing. `border`: at the beginning, or behind a slash.
    fn skip(&self, states: &mut [bool], border: bool) {
        for (at, token) in self.0.iter().enumerate() {
            let may_end = match token {
                Token::Some | Token::Any => true,
                Token::Directories => border,
                Token::Char(_) | Token::One => false,
            };
            if states[at] && may_end {
                states[at + 1] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_the_contract_says() {
        for (pattern, path, wanted) in [
            ("/workspace/**/*", "/workspace/a.txt", true),
            ("/workspace/**/*", "/workspace/d/e/a.txt", true),
            ("/workspace/**/*", "/workspace", false),
            ("/workspace/**", "/workspace/a", true),
            ("/workspace/**", "/workspace/a/b", true),
            ("/workspace/**", "/workspaces/a", false),
            ("/a/*.txt", "/a/b.txt", true),
            ("/a/*.txt", "/a/b/c.txt", false),
            ("/a/?.txt", "/a/b.txt", true),
            ("/a/?.txt", "/a//.txt", false),
            ("/a/?.txt", "/a/bb.txt", false),
            ("/a", "/a", true),
            ("/a", "/a/b", false),
            ("a", "/a", false),
            ("**", "/a/b/c", true),
            ("**/c", "/a/b/c", true),
            ("**/c", "/a/b/xc", false),
            ("/**/c", "/c", true),
            ("/a.b", "/axb", false),
            ("/[a]", "/a", false),
            ("/\u{e4}/?", "/\u{e4}/\u{1F600}", true),
            ("", "", true),
            ("", "/", false),
            ("*", "", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(path), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn many_stars_are_no_trap() {
        let pattern = Pattern::new(&"*a".repeat(PATTERN_CHARS_MAX / 2));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(4_000))));
    }
}
