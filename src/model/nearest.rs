//! The nearest known word to a mistyped one, for every "did you mean".

/// Words less alike than this are not offered (0 = nothing in common, 1 = equal).
const LIKENESS_MIN: f64 = 0.75;

/// The candidate that `word` most likely means, if any is near enough.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates.into_iter().map(|known| (strsim::jaro_winkler(word, known), known));
    let best = near.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness >= LIKENESS_MIN).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_only_what_is_near() {
        let known = ["host", "port", "data_dir"];
        assert_eq!(nearest("prot", known), Some("port"));
        assert_eq!(nearest("datadir", known), Some("data_dir"));
        assert_eq!(nearest("xyzzy", known), None);
        assert_eq!(nearest("port", []), None);
    }
}
