//! Conditions of tuples, in three values.
//!
//! A condition that cannot be read, or whose context keys are absent or malformed, is *unknown*, never simply false:
//! below an exclusion a dropped tuple would grant.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::{Env, Why};

/// Seconds of a day and µs of a second, to get the time of day.
const DAY_SECONDS: i64 = 86_400;
const SECOND_US: i64 = 1_000_000;

/// Yes, no, or not known. The order is that of truth, so that OR is `max` and AND is `min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tri {
    No,
    Unknown,
    Yes,
}

impl From<bool> for Tri {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Why something is unknown, collected over one evaluation.
#[derive(Debug, Clone, Default)]
pub(super) struct Doubt {
    missing: Vec<String>,
    corrupt: bool,
    /// A stored namespace cannot be read.
    pub(super) namespace: bool,
}

impl Doubt {
    fn lacks(&mut self, key: &str) -> Tri {
        if mutant!(MissingContextIsNo) {
            return Tri::No;
        }
        if !self.missing.iter().any(|k| k == key) {
            self.missing.push(key.to_owned());
        }
        Tri::Unknown
    }

    /// Takes over the reasons of another.
    pub(super) fn add(&mut self, other: &Self) {
        for key in &other.missing {
            self.lacks(key);
        }
        self.corrupt |= other.corrupt;
        self.namespace |= other.namespace;
    }

    /// The one reason to tell: first what the caller can repair.
    pub(super) fn why(mut self) -> Why {
        if !self.missing.is_empty() {
            self.missing.sort_unstable();
            return Why::MissingContext(self.missing);
        }
        match (self.corrupt, self.namespace) {
            (true, _) => Why::CorruptCondition,
            (false, true) => Why::CorruptNamespace,
            (false, false) => Why::NegativeCycle,
        }
    }
}

/// The condition of a tuple.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Condition {
    /// None, or an obligation, which filters what is read but does not decide whether.
    #[default]
    Always,
    /// All of these.
    All(Vec<Test>),
    /// Not readable.
    Corrupt,
}

/// One test of a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// Seconds of the day, both ends inclusive; a window that ends before it starts never holds.
    TimeWindow(i64, i64),
    /// Networks as address and prefix length.
    AllowedIps(Vec<(IpAddr, u8)>),
    AllowedDevices(Vec<Value>),
    Attributes(Map<String, Value>),
}

impl Condition {
    /// Reads the stored text.
    pub(super) fn parse(text: Option<&str>) -> Self {
        let Some(text) = text else { return Self::Always };
        match serde_json::from_str(text) {
            Ok(Value::Null) => Self::Always,
            Ok(Value::Object(keys)) if keys.contains_key("type") => Self::obligation(&keys),
            Ok(Value::Object(keys)) if keys.is_empty() => Self::Always,
            Ok(Value::Object(keys)) => keys
                .iter()
                .map(|(key, value)| Test::parse(key, value))
                .collect::<Option<_>>()
                .map_or(Self::Corrupt, Self::All),
            _ => Self::Corrupt,
        }
    }

    fn obligation(keys: &Map<String, Value>) -> Self {
        let known = keys.get("type").and_then(Value::as_str) == Some("dynamic_viewer");
        let only = keys.keys().all(|key| key == "type" || key == "column_config");
        if known && only { Self::Always } else { Self::Corrupt }
    }

    /// Whether it holds at some times of the day and at others not.
    pub(super) fn has_window(&self) -> bool {
        matches!(self, Self::All(tests) if tests.iter().any(|test| matches!(test, Test::TimeWindow(..))))
    }

    /// Whether it holds now and here.
    pub(super) fn holds(&self, env: &Env, doubt: &mut Doubt) -> Tri {
        match self {
            Self::Always => Tri::Yes,
            Self::All(tests) => {
                let mut own = Doubt::default();
                let all = tests.iter().map(|test| test.holds(env, &mut own)).min().unwrap_or(Tri::Yes);
                // A test that fails settles it, whatever the others lack.
                if all == Tri::Unknown {
                    doubt.add(&own);
                }
                all
            }
            Self::Corrupt if mutant!(CorruptConditionAllows) => Tri::Yes,
            Self::Corrupt => {
                doubt.corrupt = true;
                Tri::Unknown
            }
        }
    }
}

impl Condition {
    /// The context keys that keep it from holding: absent or malformed ones, and those whose values do not fit.
    pub(super) fn lacks(&self, env: &Env) -> (Vec<String>, Vec<String>) {
        let (mut missing, mut failed) = (Vec::new(), Vec::new());
        let Self::All(tests) = self else { return (missing, failed) };
        for test in tests.iter().flat_map(Test::single) {
            match test.1.holds(env, &mut Doubt::default()) {
                Tri::Yes => {}
                Tri::No => failed.push(test.0),
                Tri::Unknown => missing.push(test.0),
            }
        }
        missing.sort_unstable();
        failed.sort_unstable();
        (missing, failed)
    }
}

/// Whether the text is a condition, or an obligation, that the engine can read. To be asked before a tuple is stored.
#[must_use]
pub fn is_readable_condition(text: &str) -> bool {
    Condition::parse(Some(text)) != Condition::Corrupt
}

impl Test {
    fn parse(key: &str, value: &Value) -> Option<Self> {
        match key {
            "time_window" => {
                let bound = |name| value.get(name).and_then(Value::as_str).and_then(time_of_day);
                let known = value.as_object()?.keys().all(|k| k == "start" || k == "end");
                known.then_some(Self::TimeWindow(bound("start")?, bound("end")?))
            }
            "allowed_ips" => {
                let networks = value.as_array()?.iter().map(|n| network(n.as_str()?)).collect::<Option<_>>()?;
                Some(Self::AllowedIps(networks))
            }
            "allowed_devices" => Some(Self::AllowedDevices(value.as_array()?.clone())),
            "attributes" => Some(Self::Attributes(value.as_object()?.clone())),
            _ => None,
        }
    }

    /// The tests of one context key each, with the key.
    fn single(&self) -> Vec<(String, Self)> {
        match self {
            Self::TimeWindow(..) => vec![("time".into(), self.clone())],
            Self::AllowedIps(_) => vec![("ip".into(), self.clone())],
            Self::AllowedDevices(_) => vec![("device".into(), self.clone())],
            Self::Attributes(attributes) => attributes
                .iter()
                .map(|(key, value)| (key.clone(), Self::Attributes(Map::from_iter([(key.clone(), value.clone())]))))
                .collect(),
        }
    }

    fn holds(&self, env: &Env, doubt: &mut Doubt) -> Tri {
        let given = |key: &str| env.context.as_ref().and_then(|context| context.get(key));
        match self {
            Self::TimeWindow(start, end) => {
                let now = match given("time") {
                    None => Some(env.now_us.div_euclid(SECOND_US).rem_euclid(DAY_SECONDS)),
                    Some(time) => time.as_str().and_then(time_of_day),
                };
                now.map_or_else(|| doubt.lacks("time"), |now| (*start <= now && now <= *end).into())
            }
            Self::AllowedIps(networks) => {
                let ip = given("ip").and_then(Value::as_str).and_then(|ip| ip.parse().ok());
                ip.map_or_else(|| doubt.lacks("ip"), |ip: IpAddr| networks.iter().any(|n| contains(*n, ip)).into())
            }
            Self::AllowedDevices(devices) => {
                given("device").map_or_else(|| doubt.lacks("device"), |device| devices.contains(device).into())
            }
            Self::Attributes(attributes) => attributes
                .iter()
                .map(|(key, wanted)| given(key).map_or_else(|| doubt.lacks(key), |value| (value == wanted).into()))
                .min()
                .unwrap_or(Tri::Yes),
        }
    }
}

/// Seconds of the day of `14:30`, `14:30:05` or the time part of an ISO date-time, as it is written there.
fn time_of_day(text: &str) -> Option<i64> {
    let time = text.split_once('T').map_or(text, |(_, time)| time);
    let time = time.trim_end_matches('Z');
    let time = time.split(['+', '-', '.']).next()?;
    let mut parts = time.split(':');
    let mut part = |limit: i64| {
        let part = parts.next()?;
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|n| digits && *n < limit)
    };
    let (hours, minutes) = (part(24)?, part(60)?);
    let seconds = if time.matches(':').count() == 2 { part(60)? } else { 0 };
    parts.next().is_none().then_some(hours * 3_600 + minutes * 60 + seconds)
}

/// `10.0.0.0/8`, or an address alone.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address.parse::<IpAddr>().ok()?, Some(length.parse::<u8>().ok()?)),
        None => (text.parse::<IpAddr>().ok()?, None),
    };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let length = length.unwrap_or(longest);
    (length <= longest).then_some((address, length))
}

fn contains((network, length): (IpAddr, u8), ip: IpAddr) -> bool {
    // An IPv4 client of a dual-stack socket arrives as ::ffff:a.b.c.d.
    let (bits, width) = match (network, ip.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => (u128::from(u32::from(network) ^ u32::from(ip)), 32),
        (IpAddr::V6(network), IpAddr::V6(ip)) => (u128::from(network) ^ u128::from(ip), 128),
        _ => return false,
    };
    length == 0 || bits >> (width - u32::from(length)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    fn holds(condition: Value, context: Value) -> Result<bool, Why> {
        let env = Env { now_us: 15 * 3_600 * SECOND_US, context: context.as_object().cloned().map(Arc::new) };
        let mut doubt = Doubt::default();
        match Condition::parse(Some(&condition.to_string())).holds(&env, &mut doubt) {
            Tri::Yes => Ok(true),
            Tri::No => Ok(false),
            Tri::Unknown => Err(doubt.why()),
        }
    }
    fn missing(keys: &[&str]) -> Result<bool, Why> {
        Err(Why::MissingContext(keys.iter().map(|k| (*k).to_owned()).collect()))
    }

    #[test]
    fn a_time_window_compares_times_not_texts() {
        let window = json!({"time_window": {"start": "09:00", "end": "14:30:00"}});
        assert_eq!(holds(window.clone(), json!({"time": "14:30"})), Ok(true));
        assert_eq!(holds(window.clone(), json!({"time": "2026-01-01T14:30:01Z"})), Ok(false));
        assert_eq!(holds(window.clone(), json!({"time": "2026-01-01T08:59:59.9+00:00"})), Ok(false));
        assert_eq!(holds(window.clone(), json!({"time": "9:00"})), Ok(true));
        assert_eq!(holds(window.clone(), json!({"time": "soon"})), missing(&["time"]));
        assert_eq!(
            holds(window, json!({})),
            Ok(false),
            "without a time in the context the request's time counts: 15:00"
        );
        let overnight = json!({"time_window": {"start": "22:00", "end": "06:00"}});
        assert_eq!(holds(overnight, json!({"time": "23:00"})), Ok(false));
    }

    #[test]
    fn addresses_match_by_network() {
        let ips = json!({"allowed_ips": ["10.1.0.0/16", "192.168.7.7", "fd00::/8"]});
        for (ip, allowed) in [
            ("10.1.255.1", true),
            ("10.2.0.0", false),
            ("192.168.7.7", true),
            ("192.168.7.8", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("::ffff:10.1.0.9", true),
        ] {
            assert_eq!(holds(ips.clone(), json!({"ip": ip})), Ok(allowed), "{ip}");
        }
        assert_eq!(holds(ips.clone(), json!({})), missing(&["ip"]));
        assert_eq!(holds(ips, json!({"ip": "10.1"})), missing(&["ip"]));
        assert_eq!(holds(json!({"allowed_ips": ["0.0.0.0/0"]}), json!({"ip": "1.2.3.4"})), Ok(true));
    }

    #[test]
    fn devices_and_attributes() {
        let both = json!({"allowed_devices": ["mac"], "attributes": {"team": "red", "level": 3}});
        assert_eq!(holds(both.clone(), json!({"device": "mac", "team": "red", "level": 3})), Ok(true));
        assert_eq!(holds(both.clone(), json!({"device": "mac", "team": "blue"})), Ok(false), "false wins over unknown");
        assert_eq!(holds(both.clone(), json!({"team": "red"})), missing(&["device", "level"]));
        assert_eq!(holds(both, json!({"device": "pc"})), Ok(false));
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        for corrupt in [
            json!({"allowed_planets": ["earth"]}),
            json!({"allowed_ips": "10.0.0.0/8"}),
            json!({"allowed_ips": ["10.0.0.0/33"]}),
            json!({"time_window": {"start": "25:00", "end": "26:00"}}),
            json!({"time_window": {"start": "09:00"}}),
            json!({"allowed_devices": ["mac"], "surprise": 1}),
            json!([]),
            json!("x"),
            json!({"type": "unheard_of"}),
        ] {
            assert_eq!(holds(corrupt.clone(), json!({"ip": "10.0.0.1"})), Err(Why::CorruptCondition), "{corrupt}");
            assert!(!is_readable_condition(&corrupt.to_string()));
        }
        assert!(!is_readable_condition("{"));
        assert!(is_readable_condition(r#"{"allowed_devices":[]}"#));
    }

    #[test]
    fn an_obligation_is_no_condition() {
        assert_eq!(
            holds(json!({"type": "dynamic_viewer", "column_config": {"hidden_columns": ["a"]}}), json!({})),
            Ok(true)
        );
        assert_eq!(holds(json!({}), json!({})), Ok(true));
    }
}
