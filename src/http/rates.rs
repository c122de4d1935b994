//! How often somebody may ask: wrong keys by address, requests by key.
//!
//! A key that opens the server always does, also from an address that has sent many wrong ones: else one program with an
//! old key would lock out everybody behind the same proxy. Keys are long enough that nothing can be guessed; the limit
//! is there for the log, the processor and the owner of that program. Must never know what a request wants.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, Reference as _};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::state::Limits;
use crate::model::time::SharedClock;

/// Addresses and keys that are told apart; beyond, all further ones share a bucket until some have been quiet.
const KEPT_MAX: usize = 10_000;
/// The part of an IPv6 address that names a network: one machine has all addresses of it.
const NETWORK: u128 = !0 << 64;

/// Time as the limiter counts it: since the server began.
struct Ticks {
    clock: SharedClock,
    began: std::time::Instant,
}

impl Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.clock.instant().saturating_duration_since(self.began).into()
    }
}

/// One bucket for each `K`.
struct Buckets<K: Clone + Eq + std::hash::Hash> {
    limiter: RateLimiter<K, HashMapStateStore<K>, Ticks, NoOpMiddleware<Nanos>>,
    /// That of all for whom there is no room.
    others: K,
}

impl<K: Clone + Eq + std::hash::Hash> Buckets<K> {
    fn new(quota: Quota, others: K, clock: &SharedClock) -> Self {
        let ticks = Ticks { clock: SharedClock::clone(clock), began: clock.instant() };
        Self { limiter: RateLimiter::new(quota, HashMapStateStore::default(), ticks), others }
    }

    /// Takes one from the bucket of `key`; how long until there is one, if it is empty.
    fn take(&self, key: K) -> Result<(), Duration> {
        if self.limiter.len() >= KEPT_MAX {
            self.limiter.retain_recent();
        }
        let key = if self.limiter.len() >= KEPT_MAX { self.others.clone() } else { key };
        self.limiter.check_key(&key).map_err(|full| {
            let now = self.limiter.clock().now();
            Duration::from_nanos(full.earliest_possible().duration_since(now).as_u64())
        })
    }
}

/// The limits of one server.
pub(super) struct Rates {
    wrong_keys: Option<Buckets<IpAddr>>,
    requests: Option<Buckets<String>>,
}

impl Rates {
    pub(super) fn new(limits: &Limits, clock: &SharedClock) -> Self {
        let wrong_keys = NonZeroU32::new(limits.wrong_keys_per_minute)
            .map(|rate| Buckets::new(Quota::per_minute(rate), IpAddr::V6(Ipv6Addr::UNSPECIFIED), clock));
        let requests = NonZeroU32::new(limits.requests_per_second)
            .map(|rate| Buckets::new(Quota::per_second(rate), String::new(), clock));
        Self { wrong_keys, requests }
    }

    /// Counts a wrong key from `ip`; how long to wait, if there were too many.
    pub(super) fn wrong_key(&self, ip: Option<IpAddr>) -> Result<(), Duration> {
        let Some(buckets) = &self.wrong_keys else { return Ok(()) };
        buckets.take(ip.map_or(buckets.others, network))
    }

    /// Counts a request with the key of this id; how long to wait, if there were too many.
    pub(super) fn request(&self, key_id: &str) -> Result<(), Duration> {
        self.requests.as_ref().map_or(Ok(()), |buckets| buckets.take(key_id.to_owned()))
    }
}

/// What stands for all addresses of one machine.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & NETWORK)),
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::ManualClock;

    fn rates(wrong_keys_per_minute: u32, requests_per_second: u32) -> (Rates, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(0));
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        let limits = Limits { wrong_keys_per_minute, requests_per_second, ..Limits::default() };
        (Rates::new(&limits, &shared), clock)
    }

    #[test]
    fn a_bucket_fills_again_and_others_have_their_own() {
        let (rates, clock) = rates(60, 0);
        let (here, there) = (Some(IpAddr::from([10, 0, 0, 1])), Some(IpAddr::from([10, 0, 0, 2])));
        let taken = (0..5_000).filter(|_| rates.wrong_key(here).is_ok()).count();
        assert_eq!(taken, 60);
        let wait = rates.wrong_key(here).expect_err("empty");
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(rates.wrong_key(there), Ok(()));
        clock.advance(Duration::from_secs(3));
        assert_eq!((0..100).filter(|_| rates.wrong_key(here).is_ok()).count(), 3);
        assert!((0..10_000).all(|_| rates.request("k").is_ok()), "no limit is set");
    }

    #[test]
    fn a_network_is_one_address_and_memory_is_bounded() {
        let (rates, clock) = rates(1, 1);
        let six = |network: u64, host: u64| {
            Some(IpAddr::V6(Ipv6Addr::from_bits((u128::from(network) << 64) | u128::from(host))))
        };
        assert_eq!(rates.wrong_key(six(7, 1)), Ok(()));
        assert!(rates.wrong_key(six(7, 2)).is_err());
        let mapped = "::ffff:10.0.0.9".parse().ok();
        assert_eq!(rates.wrong_key(mapped), Ok(()));
        assert!(rates.wrong_key(Some(IpAddr::from([10, 0, 0, 9]))).is_err());
        let passed = (100..100 + 2 * KEPT_MAX as u64).filter(|n| rates.wrong_key(six(*n, 0)).is_ok()).count();
        assert!(passed <= KEPT_MAX, "{passed}");
        assert!(rates.wrong_keys.as_ref().expect("set").limiter.len() <= KEPT_MAX + 1);
        clock.advance(Duration::from_secs(120));
        assert_eq!(rates.wrong_key(six(1 << 40, 0)), Ok(()), "room again");
        assert_eq!(rates.request("a"), Ok(()));
        assert!(rates.request("a").is_err());
        assert_eq!(rates.request("b"), Ok(()));
    }
}
