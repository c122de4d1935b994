//! One figure for all values of a column. Cells without a value do not count.

use serde_json::Value;

use super::rules::Operation;

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Figure {
    /// There is none: a mean of nothing.
    Nothing,
    /// A whole number.
    Whole(i128),
    /// A number.
    Real(f64),
}

impl Figure {
    /// As a cell.
    pub(super) fn text(self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Whole(number) => number.to_string(),
            Self::Real(number) => format!("{number:?}"),
        }
    }

    /// As JSON.
    pub(super) fn value(self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            #[expect(clippy::cast_precision_loss, reason = "JSON readers take such large numbers as real ones anyway")]
            Self::Whole(number) => i64::try_from(number).map_or_else(|_| (number as f64).into(), Value::from),
            Self::Real(number) => number.into(),
        }
    }
}

/// The values of a column, as far as its figure needs them.
#[derive(Debug)]
pub(super) struct Values {
    operation: Operation,
    count: usize,
    /// Every value so far, while all are whole.
    whole: Option<Vec<i64>>,
    real: Vec<f64>,
}

impl Values {
    pub(super) fn new(operation: Operation) -> Self {
        Self { operation, count: 0, whole: Some(Vec::new()), real: Vec::new() }
    }

    /// Takes a cell in. What should be a number and is none is an error.
    pub(super) fn add(&mut self, cell: &str) -> Result<(), ()> {
        let cell = cell.trim();
        if cell.is_empty() {
            return Ok(());
        }
        self.count += 1;
        if self.operation == Operation::Count {
            return Ok(());
        }
        let real: f64 = cell.parse().ok().filter(|number: &f64| number.is_finite()).ok_or(())?;
        self.real.push(real);
        match (cell.parse::<i64>(), &mut self.whole) {
            (Ok(number), Some(whole)) => whole.push(number),
            _ => self.whole = None,
        }
        Ok(())
    }

    /// The figure. Of too large numbers there is none, which is an error.
    pub(super) fn figure(mut self) -> Result<Figure, ()> {
        let real = |number: f64| if number.is_finite() { Ok(Figure::Real(number)) } else { Err(()) };
        let whole = self.whole.take();
        #[expect(clippy::cast_precision_loss, reason = "a table has fewer rows than a mantissa counts")]
        let count = self.real.len() as f64;
        let mean = self.real.iter().sum::<f64>() / count;
        match (self.operation, whole) {
            (Operation::Count, _) => Ok(Figure::Whole(self.count as i128)),
            (Operation::Sum, Some(whole)) => Ok(Figure::Whole(whole.into_iter().map(i128::from).sum())),
            (Operation::Sum, None) => real(self.real.iter().sum()),
            _ if self.real.is_empty() => Ok(Figure::Nothing),
            (Operation::Min, Some(whole)) => Ok(whole.into_iter().min().map_or(Figure::Nothing, whole_figure)),
            (Operation::Max, Some(whole)) => Ok(whole.into_iter().max().map_or(Figure::Nothing, whole_figure)),
            (Operation::Min, None) => real(self.real.iter().copied().fold(f64::INFINITY, f64::min)),
            (Operation::Max, None) => real(self.real.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            (Operation::Mean, _) => real(mean),
            (Operation::Std, _) if self.real.len() < 2 => Ok(Figure::Nothing),
            (Operation::Std, _) => {
                let squares: f64 = self.real.iter().map(|number| (number - mean).powi(2)).sum();
                real((squares / (count - 1.0)).sqrt())
            }
            (Operation::Median, _) => {
                self.real.sort_unstable_by(f64::total_cmp);
                let middle = self.real.len() / 2;
                let upper = self.real[middle];
                let lower = if self.real.len().is_multiple_of(2) { self.real[middle - 1] } else { upper };
                real(lower / 2.0 + upper / 2.0)
            }
        }
    }
}

fn whole_figure(number: i64) -> Figure {
    Figure::Whole(number.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(operation: Operation, cells: &[&str]) -> Result<String, ()> {
        let mut values = Values::new(operation);
        cells.iter().try_for_each(|cell| values.add(cell))?;
        values.figure().map(Figure::text)
    }

    #[test]
    fn figures_of_numbers() {
        let cells = ["4", " 1 ", "", "7", "2"];
        for (operation, wanted) in [
            (Operation::Mean, "3.5"),
            (Operation::Sum, "14"),
            (Operation::Min, "1"),
            (Operation::Max, "7"),
            (Operation::Median, "3.0"),
            (Operation::Count, "4"),
        ] {
            assert_eq!(figure(operation, &cells).as_deref(), Ok(wanted), "{operation:?}");
        }
        let std = figure(Operation::Std, &cells).expect("a number");
        assert!(std.starts_with("2.6457513"), "{std}");
        assert_eq!(figure(Operation::Sum, &["1", "0.5"]).as_deref(), Ok("1.5"));
        assert_eq!(figure(Operation::Max, &["1.5", "-2"]).as_deref(), Ok("1.5"));
        assert_eq!(figure(Operation::Median, &["5", "1", "3"]).as_deref(), Ok("3.0"));
        let large = i64::MAX.to_string();
        assert_eq!(figure(Operation::Sum, &[&large, &large]).as_deref(), Ok("18446744073709551614"));
    }

    #[test]
    fn figures_of_nothing_and_of_no_numbers() {
        assert_eq!(figure(Operation::Mean, &["", ""]).as_deref(), Ok(""));
        assert_eq!(figure(Operation::Std, &["3"]).as_deref(), Ok(""));
        assert_eq!(figure(Operation::Sum, &[]).as_deref(), Ok("0"));
        assert_eq!(figure(Operation::Count, &["x", "y", ""]).as_deref(), Ok("2"));
        for wrong in ["secret", "inf", "NaN", "1e999"] {
            assert_eq!(figure(Operation::Mean, &["1", wrong]), Err(()), "{wrong}");
        }
        assert_eq!(figure(Operation::Sum, &["1e308", "1e308"]), Err(()));
    }
}
