//! Lines that one thread has left, one behind the other, and how those of several threads are put in order.
//!
//! Must never know what a line says, only that it begins with its time.

/// Some lines, in the order in which they came. A line may hold line breaks.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Lines {
    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Adds one.
    pub(super) fn push(&mut self, line: &[u8]) {
        self.text.extend_from_slice(line);
        self.ends.push(self.text.len());
    }

    /// Removes all of them and keeps the room.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }
}

/// Lines of which some are used up.
struct Rest<'l> {
    lines: &'l Lines,
    /// The next one.
    line: usize,
    /// Where it begins.
    begin: usize,
}

impl<'l> Rest<'l> {
    fn of(lines: &'l Lines) -> Option<Self> {
        (!lines.ends.is_empty()).then_some(Self { lines, line: 0, begin: 0 })
    }

    fn first(&self) -> &'l [u8] {
        &self.lines.text[self.begin..self.lines.ends[self.line]]
    }

    /// Goes on to the next line. Returns whether there is one.
    fn next(&mut self) -> bool {
        (self.line, self.begin) = (self.line + 1, self.lines.ends[self.line]);
        self.line < self.lines.ends.len()
    }
}

/// Appends all lines to `out`: those of one list in their order, and of two that could be next the lesser one.
pub(super) fn in_order(lists: &[Lines], out: &mut Vec<u8>) {
    let mut open: Vec<Rest<'_>> = lists.iter().filter_map(Rest::of).collect();
    while open.len() > 1 {
        let (at, least) = open.iter_mut().enumerate().min_by_key(|(_, rest)| rest.first()).expect("there are two");
        out.extend_from_slice(least.first());
        if !least.next() {
            open.swap_remove(at);
        }
    }
    for rest in open {
        out.extend_from_slice(&rest.lines.text[rest.begin..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_merged_and_none_is_turned_round() {
        let of = |lines: &[&str]| {
            let mut all = Lines::default();
            lines.iter().for_each(|line| all.push(line.as_bytes()));
            all
        };
        let lists = [of(&["1 a\n", "4 b\n", "2 set back\n"]), of(&[]), of(&["2 c\nof two\n", "3 d\n"]), of(&["5 e\n"])];
        let mut out = b"0\n".to_vec();
        in_order(&lists, &mut out);
        let expected = "0\n1 a\n2 c\nof two\n3 d\n4 b\n2 set back\n5 e\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
        let mut none = Vec::new();
        in_order(&[], &mut none);
        in_order(&[of(&[])], &mut none);
        assert!(none.is_empty());
    }
}
