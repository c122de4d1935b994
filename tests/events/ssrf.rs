//! Where the server lets itself be sent: addresses in all spellings, names that lead elsewhere at the second look, answers
//! that send on. A trap listens where none may come.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexus_lite::outbound::{Guard, Looked, Outbound, OutboundError, Post, Resolve, Target};

use super::receiver::Receiver;

/// Spellings that are tried at least.
const SPELLINGS_MIN: usize = 60;

/// A resolver that says what a test wants, one answer after the other; the last one stays. What it does not know it takes
/// as the machine's would: numbers in any writing are addresses.
#[derive(Default)]
struct Stub {
    names: HashMap<&'static str, Vec<Vec<&'static str>>>,
    asked: Arc<AtomicUsize>,
}

impl Resolve for Stub {
    fn resolve(&self, host: &str, port: u16) -> Looked {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let said = self.names.get(host).map(|answers| answers[asked.min(answers.len() - 1)].clone());
        let host = host.to_owned();
        Box::pin(async move {
            match said {
                Some(said) => {
                    Ok(said.iter().map(|ip| SocketAddr::new(ip.parse().expect("an address"), port)).collect())
                }
                None => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
            }
        })
    }
}

async fn post(outbound: &Outbound, url: &str) -> Result<u16, OutboundError> {
    let target = Target::parse(url)?;
    outbound.post(Post { target, headers: Vec::new(), body: "{}".into() }).await
}

#[tokio::test]
async fn no_spelling_of_an_inner_address_is_connected_to() {
    let trap = Receiver::start(200);
    let inner = Receiver::on("[::1]:0", 200);
    let (four, six) = (trap.address().port(), inner.address().port());
    // The ports are open, so that only the addresses stand in the way.
    let guard = Guard::parse(&[format!("public:{four}"), format!("public:{six}")]).expect("two ports");
    let mut stub = Stub::default();
    for (name, answer) in [
        ("inner.example", "127.0.0.1"),
        ("zero.example", "0.0.0.0"),
        ("private.example", "10.0.0.1"),
        ("mapped.example", "::ffff:127.0.0.1"),
        ("compatible.example", "::127.0.0.1"),
        ("nat64.example", "64:ff9b::7f00:1"),
        ("sixtofour.example", "2002:7f00:1::"),
        ("six.example", "::1"),
        ("metadata.example", "169.254.169.254"),
    ] {
        stub.names.insert(name, vec![vec![answer]]);
    }
    let outbound = Outbound::with(guard, stub);
    let hosts = [
        "127.0.0.1",
        "127.0.0.2",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0x7f.1",
        "0X7F.0x0.0x0.0x1",
        "017700000001",
        "0177.0.0.1",
        "0177.1",
        "127.0.0.1.",
        "127.000.000.001",
        "00127.0.0.1",
        "127.0.0.0x1",
        "0",
        "0.0.0.0",
        "0x0",
        "00",
        "4294967295",
        "3232235777",
        "localhost",
        "LOCALHOST",
        "LocalHost",
        "localhost.",
        "localhost..",
        "ip6-localhost",
        "inner.example",
        "zero.example",
        "private.example",
        "mapped.example",
        "compatible.example",
        "nat64.example",
        "sixtofour.example",
        "six.example",
        "metadata.example",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "100.100.100.200",
        "168.63.129.16",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[0000:0000:0000:0000:0000:0000:0000:0001]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[fe80::1%lo]",
        "[::1%25lo]",
        "user@127.0.0.1",
        "user:word@127.0.0.1",
        "example.org@127.0.0.1",
        "example.org:80@127.0.0.1",
        "127.0.0.1\\@example.org",
        "127.0.0.1%00.example.org",
        "%31%32%37.0.0.1",
        "\u{2460}\u{2461}\u{2466}.0.0.1",
        "127\u{3002}0.0.1",
        "127.0.0.1 ",
        " 127.0.0.1",
        "127.0.0.1\t",
        "[127.0.0.1]",
        "::1",
        "",
    ];
    assert!(hosts.len() >= SPELLINGS_MIN, "{}", hosts.len());
    for host in hosts {
        for port in [four, six] {
            let url = format!("http://{host}:{port}/");
            let sent = post(&outbound, &url).await;
            assert!(sent.is_err(), "{url}: {sent:?}");
            assert!(!matches!(sent, Err(OutboundError::Failed(_) | OutboundError::Timeout)), "{url}: was tried");
        }
    }
    assert_eq!((trap.count(), inner.count()), (0, 0), "connections to the trap");
}

#[tokio::test]
async fn the_address_that_was_looked_at_is_the_one_that_is_connected_to() {
    let trap = Receiver::start(200);
    let port = trap.address().port();
    let receiver = Receiver::on(&format!("127.0.0.2:{port}"), 204);
    let guard = Guard::parse(&["127.0.0.2/32".to_owned()]).expect("a network");
    let mut stub = Stub::default();
    // Good at the first look, the trap from then on; and both at once.
    stub.names.insert("rebinding.example", vec![vec!["127.0.0.2"], vec!["127.0.0.1"]]);
    let asked = Arc::clone(&stub.asked);
    let outbound = Outbound::with(guard.clone(), stub);
    assert_eq!(post(&outbound, &format!("http://rebinding.example:{port}/")).await, Ok(204));
    assert_eq!((receiver.count(), trap.count(), asked.load(Ordering::SeqCst)), (1, 0, 1));
    let again = post(&outbound, &format!("http://rebinding.example:{port}/")).await;
    assert_eq!((again, trap.count()), (Err(OutboundError::Forbidden), 0), "no connection is kept, none is trusted");

    let mut stub = Stub::default();
    stub.names.insert("mixed.example", vec![vec!["127.0.0.1", "::1", "127.0.0.2"]]);
    let outbound = Outbound::with(guard, stub);
    assert_eq!(post(&outbound, &format!("http://mixed.example:{port}/")).await, Ok(204));
    assert_eq!((receiver.count(), trap.count()), (2, 0));
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let trap = Receiver::start(200);
    let receiver = Receiver::start(302);
    let guard = Guard::parse(&["127.0.0.1/32".to_owned()]).expect("a network");
    let outbound = Outbound::new(guard);
    for location in [trap.url(), "http://169.254.169.254/latest/meta-data/".to_owned()] {
        receiver.extra(&format!("Location: {location}"));
        for status in [301, 302, 303, 307, 308] {
            receiver.answer(status);
            assert_eq!(post(&outbound, &receiver.url()).await, Ok(status), "{location}");
        }
    }
    assert_eq!((receiver.count(), trap.count()), (10, 0));
}

#[tokio::test]
async fn ports_are_the_usual_ones() {
    let outbound = Outbound::new(Guard::default());
    for port in [22, 25, 6379, 8080] {
        let sent = post(&outbound, &format!("http://93.184.216.34:{port}/")).await;
        assert_eq!(sent, Err(OutboundError::Forbidden), "{port}");
    }
    outbound.stop();
    let loopback: IpAddr = "127.0.0.1".parse().expect("an address");
    assert_eq!(post(&outbound, &format!("http://{loopback}/")).await, Err(OutboundError::Stopped));
}
