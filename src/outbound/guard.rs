//! Which addresses are sent to: public ones on the usual ports, and what the settings allow beside.
//!
//! Owns the list of what is not public. It is a list of what is allowed for IPv6 and of what is not for IPv4, by the
//! registries of special addresses of IANA.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Ports that need no setting.
const PORTS: [u16; 2] = [80, 443];

/// IPv4 that is not public: network and length of its prefix.
const CLOSED_V4: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),        // this network
    ([10, 0, 0, 0], 8),       // private
    ([100, 64, 0, 0], 10),    // shared by a provider
    ([127, 0, 0, 0], 8),      // loopback
    ([168, 63, 129, 16], 32), // metadata of a cloud
    ([169, 254, 0, 0], 16),   // link-local, metadata of clouds
    ([172, 16, 0, 0], 12),    // private
    ([192, 0, 0, 0], 24),     // protocols
    ([192, 0, 2, 0], 24),     // documentation
    ([192, 88, 99, 0], 24),   // relays of 6to4
    ([192, 168, 0, 0], 16),   // private
    ([198, 18, 0, 0], 15),    // benchmarks
    ([198, 51, 100, 0], 24),  // documentation
    ([203, 0, 113, 0], 24),   // documentation
    ([224, 0, 0, 0], 4),      // multicast
    ([240, 0, 0, 0], 4),      // reserved, broadcast
];

/// IPv6 that is public: network and length of its prefix.
const OPEN_V6: ([u16; 8], u32) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What of it is not.
const CLOSED_V6: &[([u16; 8], u32)] = &[
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocols; Teredo, which holds an IPv4 address
    ([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4, which holds an IPv4 address
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// A line of the setting that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; write 127.0.0.1/32, 10.0.0.0/8:8443, [fd00::]/8 or public:8443, one port at most")]
pub struct GuardError(pub String);

/// A network that is sent to though it is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
    /// `None` = every port.
    port: Option<u16>,
}

/// Which addresses are sent to.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Vec<Network>,
    /// Ports of public addresses beside the usual ones.
    ports: Vec<u16>,
}

/// Stands for all public addresses in a line of the setting.
const PUBLIC: &str = "public:";

impl Guard {
    /// Public addresses, and the networks that are named.
    pub fn parse(networks: &[String]) -> Result<Self, GuardError> {
        let mut guard = Self::default();
        for text in networks {
            let bad = || GuardError(text.clone());
            match text.strip_prefix(PUBLIC) {
                Some(port) => guard.ports.push(port.parse().map_err(|_| bad())?),
                None => guard.allowed.push(Network::parse(text).ok_or_else(bad)?),
            }
        }
        Ok(guard)
    }

    /// Whether a connection to `address` may be made.
    #[must_use]
    pub fn allows(&self, address: SocketAddr) -> bool {
        let (ip, port) = (address.ip(), address.port());
        if self.allowed.iter().any(|network| network.holds(ip) && network.port.is_none_or(|only| only == port)) {
            return true;
        }
        (PORTS.contains(&port) || self.ports.contains(&port)) && is_public(ip)
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, rest) = match text.split_once('/') {
            Some((address, rest)) => (address, Some(rest)),
            None => (text, None),
        };
        let literal = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
        let address: IpAddr = literal.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let (prefix, port) = match rest {
            None => (bits, None),
            Some(rest) => match rest.split_once(':') {
                Some((prefix, port)) => (prefix.parse().ok()?, Some(port.parse().ok()?)),
                None => (rest.parse().ok()?, None),
            },
        };
        (prefix <= bits).then_some(Self { address, prefix, port })
    }

    /// An IPv4 address within IPv6 is none of a network of IPv4.
    fn holds(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => within_v4(ip, network, self.prefix),
            (IpAddr::V6(network), IpAddr::V6(ip)) => within_v6(ip, network, self.prefix),
            _ => false,
        }
    }
}

fn within_v4(ip: Ipv4Addr, network: Ipv4Addr, prefix: u32) -> bool {
    let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
    ip.to_bits() & mask == network.to_bits() & mask
}

fn within_v6(ip: Ipv6Addr, network: Ipv6Addr, prefix: u32) -> bool {
    let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
    ip.to_bits() & mask == network.to_bits() & mask
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !CLOSED_V4.iter().any(|(network, prefix)| within_v4(ip, Ipv4Addr::from(*network), *prefix)),
        IpAddr::V6(ip) => {
            let within = |(network, prefix): &([u16; 8], u32)| within_v6(ip, Ipv6Addr::from(*network), *prefix);
            within(&OPEN_V6) && !CLOSED_V6.iter().any(within)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, port: u16) -> SocketAddr {
        SocketAddr::new(text.parse().expect(text), port)
    }

    #[test]
    fn only_public_addresses_on_the_usual_ports() {
        let guard = Guard::default();
        for public in ["93.184.216.34", "1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"] {
            assert!(guard.allows(at(public, 443)) && guard.allows(at(public, 80)), "{public}");
            assert!(!guard.allows(at(public, 22)) && !guard.allows(at(public, 8080)), "{public}");
        }
        for closed in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!guard.allows(at(closed, 443)) && !guard.allows(at(closed, 80)), "{closed}");
        }
    }

    #[test]
    fn settings_open_networks() {
        let lines = ["127.0.0.1/32", "10.0.0.0/8:8443", "[fd00::]/8", "192.168.7.7", "public:444"].map(str::to_owned);
        let guard = Guard::parse(&lines).expect("four networks and a port");
        for (text, port, open) in [
            ("1.1.1.1", 444, true),
            ("1.1.1.1", 445, false),
            ("10.9.9.9", 444, false),
            ("127.0.0.1", 9, true),
            ("127.0.0.2", 9, false),
            ("10.9.9.9", 8443, true),
            ("10.9.9.9", 443, false),
            ("fd12::1", 1, true),
            ("fe80::1", 1, false),
            ("192.168.7.7", 5, true),
            ("192.168.7.8", 5, false),
            ("::ffff:127.0.0.1", 9, false),
        ] {
            assert_eq!(guard.allows(at(text, port)), open, "{text}:{port}");
        }
        for bad in [
            "",
            "localhost",
            "127.0.0.1/33",
            "::1/129",
            "10.0.0.0/8:",
            "10.0.0.0/8:x",
            "10.0.0.0/",
            "public:",
            "public",
        ] {
            assert!(Guard::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
