//! Whose address a request has.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Hops of `X-Forwarded-For` that are looked at; real chains are far shorter.
const HOPS_MAX: usize = 32;

/// A list of networks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks(Vec<IpNet>);

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; expected one such as 10.0.0.0/8, 2001:db8::/32 or a single address")]
pub struct NotANetwork(String);

impl Networks {
    /// Of texts such as `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.7`.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NotANetwork> {
        let network = |text: &str| {
            let alone = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse().or_else(|_| alone()).map_err(|_| NotANetwork(text.to_owned()))
        };
        texts.into_iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    /// This machine.
    pub fn loopback() -> Self {
        let v4 = IpNet::new_assert([127, 0, 0, 0].into(), 8);
        Self(vec![v4, IpNet::from(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST))])
    }

    /// Whether `address` is in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Who asked: the peer, or, where the peer is a trusted proxy, whom the nearest proxy that is not trusted says that it
/// got the request from. What stands further left in `X-Forwarded-For` anybody may have written.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &Networks) -> IpAddr {
    let mut client = peer.to_canonical();
    if !trusted.contain(client) {
        return client;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        // Nobody vouches for what is left of something that is no address.
        let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
        client = hop.to_canonical();
        if !trusted.contain(client) {
            break;
        }
    }
    client
}

/// What a limit counts by. A customer gets a whole /64 of IPv6, so its addresses are one.
pub(super) fn key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & (u128::MAX << 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted = Networks::parse(trusted.iter().copied()).unwrap();
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let forwarded = &["198.51.100.1"][..];
        assert_eq!(client("203.0.113.9", forwarded, &[]), "203.0.113.9");
        assert_eq!(client("203.0.113.9", forwarded, &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", forwarded, &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(client("::ffff:10.0.0.1", forwarded, &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn the_nearest_hop_that_is_not_trusted_is_the_client() {
        let trusted = &["10.0.0.0/8"][..];
        let spoofed = &["1.1.1.1, 198.51.100.1, 10.0.0.7"][..];
        assert_eq!(client("10.0.0.1", spoofed, trusted), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "198.51.100.1"], trusted), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, nonsense, 10.0.0.7"], trusted), "10.0.0.7");
        assert_eq!(client("10.0.0.1", &["10.0.0.9, 10.0.0.7"], trusted), "10.0.0.9");
    }

    #[test]
    fn a_network_of_ipv6_is_one_caller() {
        let key = |text: &str| key(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    #[test]
    fn networks_are_read_or_refused() {
        let networks = Networks::parse(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]).unwrap();
        for (address, within) in [("10.9.9.9", true), ("192.0.2.7", true), ("192.0.2.8", false)] {
            assert_eq!(networks.contain(address.parse().unwrap()), within, "{address}");
        }
        assert!(Networks::loopback().contain("::1".parse().unwrap()));
        assert!(Networks::loopback().contain("127.9.0.1".parse().unwrap()));
        for text in ["", "10.0.0.0/33", "localhost", "*"] {
            assert_eq!(Networks::parse([text]), Err(NotANetwork(text.to_owned())));
        }
    }
}
