//! Search by words in memories: no index and no model, the bodies are read.
//!
//! Bounded in records and bytes; what was not looked at is said. A hit holds at least one word of the question; it is
//! the better the more of them it holds, and the whole question in a row is best.

use crate::service::memories::{ANSWER_BYTES_MAX, Memory, MemoryFilter, body_of};
use crate::service::records::{Feed, Listed};
use crate::service::{Call, ServiceError};

/// Longest question, bytes.
const QUERY_BYTES_MAX: usize = 4 * 1024;
/// Most words of a question that count.
const WORDS_MAX: usize = 64;
/// Bytes of bodies that one search reads.
const READ_BYTES_MAX: u64 = 64 << 20;
/// What all words are worth; the rest is for the question in a row.
const WORDS_WORTH: f64 = 0.8;

/// A question, as it is looked for.
#[derive(Debug, Clone)]
struct Words {
    whole: String,
    words: Vec<String>,
}

impl Words {
    fn of(query: &str) -> Result<Self, ServiceError> {
        if query.len() > QUERY_BYTES_MAX {
            return Err(ServiceError::InvalidParams(format!("query is longer than {QUERY_BYTES_MAX} bytes")));
        }
        let whole = query.trim().to_lowercase();
        let mut words: Vec<String> =
            whole.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        words.sort_unstable();
        words.dedup();
        words.truncate(WORDS_MAX);
        // A question without a letter or a digit is looked for as it is.
        if words.is_empty() && !whole.is_empty() {
            words.push(whole.clone());
        }
        Ok(Self { whole, words })
    }

    /// How well a text answers, from 0 (not at all) to 1.
    fn score(&self, text: &str) -> f64 {
        let text = text.to_lowercase();
        let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        let found = self.words.iter().filter(|word| text.contains(word.as_str())).count();
        if found == 0 {
            return 0.0;
        }
        let phrase = if text.contains(&self.whole) { 1.0 - WORDS_WORTH } else { 0.0 };
        WORDS_WORTH * count(found) / count(self.words.len()) + phrase
    }
}

/// The memories that answer best, those that matter more and the newer ones first among equals.
pub async fn search(
    call: &Call,
    query: &str,
    filter: MemoryFilter,
    limit: usize,
) -> Result<Listed<Memory>, ServiceError> {
    let words = Words::of(query)?;
    let asked = call.clone();
    call.read_slow(move |tx| {
        let access = asked.access(tx)?;
        let mut feed = Feed::new(&access, None)?;
        let (mut hits, mut bytes, mut cut_short) = (Vec::new(), 0, None);
        while let Some(row) = feed.next()? {
            if !filter.lets_through(&row) {
                continue;
            }
            bytes += row.size;
            if bytes > READ_BYTES_MAX {
                cut_short = Some(format!("one search reads {READ_BYTES_MAX} bytes, the newest first; narrow it down"));
                break;
            }
            let body = body_of(tx, &row)?;
            let name = [row.namespace.as_deref(), row.path_key.as_deref()].map(Option::unwrap_or_default).join(" ");
            let score = words.score(&format!("{}\n{name}", String::from_utf8_lossy(&body)));
            if score > 0.0 {
                hits.push((score, row));
            }
        }
        let cut_short = cut_short.or_else(|| feed.cut_short());
        // Stable: of the same score and importance the newer one stays first.
        hits.sort_by(|(a, one), (b, other)| b.total_cmp(a).then(other.importance.cmp(&one.importance)));
        let more = hits.len() > limit;
        hits.truncate(limit);
        let mut answer = Listed { rows: Vec::new(), next: None, cut_short };
        if more {
            answer.cut_short.get_or_insert_with(|| "there are more hits than `limit`".into());
        }
        let mut bytes = 0;
        for (score, row) in hits {
            bytes += row.size;
            if bytes > ANSWER_BYTES_MAX && !answer.rows.is_empty() {
                answer.cut_short = Some(format!("one answer holds at most {ANSWER_BYTES_MAX} bytes of memories"));
                break;
            }
            let body = body_of(tx, &row)?;
            answer.rows.push(Memory { row, body, score: Some(score) });
        }
        Ok(answer)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_words_are_better_and_the_question_in_a_row_is_best() {
        let words = Words::of("Dark mode").expect("a question");
        assert_eq!(words.score("prefers DARK MODE at night"), 1.0);
        assert_eq!(words.score("the mode is dark"), WORDS_WORTH);
        assert_eq!(words.score("dark chocolate"), WORDS_WORTH / 2.0);
        assert_eq!(words.score("light theme"), 0.0);
    }

    #[test]
    fn nothing_is_found_by_nothing() {
        assert_eq!(Words::of("  ").expect("blank").score("anything"), 0.0);
        assert_eq!(Words::of("%").expect("a sign").score("100 %"), 1.0);
        assert_eq!(Words::of("%").expect("a sign").score("100"), 0.0);
        assert!(Words::of(&"x".repeat(QUERY_BYTES_MAX + 1)).is_err());
    }
}
