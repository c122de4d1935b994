//! Columns for people: each as wide as its widest cell; the last one as it is.

/// Rows of cells as text, one line each.
pub(in crate::cli) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(at, cell)| match at + 1 == row.len() {
            true => cell.clone(),
            false => format!("{cell:<width$}", width = widths[at]),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// A number of bytes as people read it: `812`, `4.2K`, `1.0G`.
pub(in crate::cli) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return bytes.to_string();
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    format!("{value:.1}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let rows = [vec!["a".into(), "bcd".into(), "e f".into()], vec!["éé".into(), "x".into(), "y".into()]];
        assert_eq!(table(&rows), "a   bcd  e f\néé  x    y\n");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([0, 1023, 1024, 4300, 1 << 30].map(size), ["0", "1023", "1.0K", "4.2K", "1.0G"]);
    }
}
