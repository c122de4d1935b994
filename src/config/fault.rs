//! Fault points that tests of the whole program arm by an environment variable. Built in only with the feature
//! `faults`: without it a set variable is refused.

use super::ConfigError;
use super::layers::FAULT_VARIABLE;

/// What happens at an armed fault point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultAction {
    /// The process ends as by SIGKILL: no destructor, no last word.
    Exit,
    /// The thread panics.
    Panic,
    /// The thread says so on standard error (`paused at <point>`) and waits for a line with the point's name, an empty
    /// one, or the end of standard input.
    Pause,
}

/// One armed fault point, as it was written: `<point>[:<nth>]:<action>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The name of the point; whether there is one of this name is for the store to say.
    pub point: String,
    /// It happens when the point is reached for the `nth` time, from 1.
    pub nth: u32,
    /// What happens.
    pub action: FaultAction,
}

/// What the environment of the process arms.
pub fn faults() -> Result<Vec<Fault>, ConfigError> {
    let text = std::env::vars_os().find(|(name, _)| name == FAULT_VARIABLE).map(|(_, text)| text);
    parse(&text.unwrap_or_default().to_string_lossy())
}

/// Reads a list `<point>[:<nth>]:<exit|panic|pause>`, separated by commas.
pub(super) fn parse(text: &str) -> Result<Vec<Fault>, ConfigError> {
    let armed: Vec<&str> = text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
    if !armed.is_empty() && !cfg!(feature = "faults") {
        return Err(ConfigError::Fault(
            "this program was built without fault points; unset it, or build with --features faults".into(),
        ));
    }
    armed.into_iter().map(one).collect()
}

fn one(text: &str) -> Result<Fault, ConfigError> {
    let refused = |what: &str| {
        ConfigError::Fault(format!("`{text}` {what}; it must be <point>[:<nth>]:<exit|panic|pause>, nth from 1"))
    };
    let mut words = text.split(':');
    let (point, second, third) = (words.next().unwrap_or_default(), words.next(), words.next());
    let (nth, action) = match (second, third) {
        (Some(nth), Some(action)) => (nth, action),
        (Some(action), None) => ("1", action),
        _ => return Err(refused("names no action")),
    };
    let action = match action {
        "exit" => FaultAction::Exit,
        "panic" => FaultAction::Panic,
        "pause" => FaultAction::Pause,
        _ => return Err(refused("names no known action")),
    };
    let nth = nth.parse().ok().filter(|nth| *nth > 0).ok_or_else(|| refused("does not count"))?;
    if words.next().is_some() || point.is_empty() {
        return Err(refused("cannot be read"));
    }
    Ok(Fault { point: point.to_owned(), nth, action })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_set_arms_nothing() {
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(parse(" , "), Ok(vec![]));
    }

    #[test]
    #[cfg(not(feature = "faults"))]
    fn without_the_feature_it_is_refused() {
        let error = parse("before_commit:exit").expect_err("refused");
        assert!(error.to_string().contains("--features faults"), "{error}");
        assert_eq!(error.exit_status(), 78);
    }

    #[test]
    #[cfg(feature = "faults")]
    fn points_counts_and_actions() {
        let fault = |point: &str, nth, action| Fault { point: point.into(), nth, action };
        let armed = parse("before_commit:exit, blob_written:3:panic,x:pause").expect("valid");
        let expected = [
            fault("before_commit", 1, FaultAction::Exit),
            fault("blob_written", 3, FaultAction::Panic),
            fault("x", 1, FaultAction::Pause),
        ];
        assert_eq!(armed, expected);
        for bad in ["before_commit", "a:0:exit", "a:x:exit", "a:1:2:exit", "a:leave", ":exit"] {
            let error = parse(bad).expect_err(bad).to_string();
            assert!(error.starts_with("NEXUS_LITE_FAULT: ") && error.contains(bad), "{error}");
        }
    }
}
