//! Whether every port that is asked for is free, before anything is made.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

use crate::patience::patiently;
use crate::settings::Settings;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Something listens there already.
    #[error(
        "{addr} is taken by another program; stop it, or choose another port for the {app} with `{flag}` or {variable} \
         (0 takes a free one)"
    )]
    Taken {
        /// The address asked for.
        addr: SocketAddr,
        /// For which app.
        app: &'static str,
        /// The flag that chooses another.
        flag: &'static str,
        /// The environment variable that does.
        variable: &'static str,
    },
    /// It is no address of this machine, or not allowed.
    #[error("the {app} cannot listen on {addr}; check its address and `{flag}`")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// For which app.
        app: &'static str,
        /// The flag of the port.
        flag: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// An address that an app will listen on.
struct Place {
    app: &'static str,
    flag: &'static str,
    variable: &'static str,
    addr: SocketAddr,
}

fn places(settings: &Settings) -> Vec<Place> {
    let place = |app, flag, variable, addr| Place { app, flag, variable, addr };
    let (api, collector) = (&settings.api.api, &settings.collector.collector);
    let mut places = vec![
        place("API", "--api-port", "COMMERCE_API__PORT", SocketAddr::new(api.bind, api.port)),
        place(
            "collector",
            "--collector-port",
            "COMMERCE_COLLECTOR__PORT",
            SocketAddr::new(collector.bind, collector.port),
        ),
    ];
    if settings.simulates() {
        let addr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), settings.simulator.simulator.port);
        places.push(place("simulated gateway", "--gateway-port", "COMMERCE_SIMULATOR__PORT", addr));
    }
    places
}

/// Refuses ports that are taken. One whose owner was just killed may be for a moment still.
pub async fn require_free(settings: &Settings) -> Result<(), PortError> {
    for Place { app, flag, variable, addr } in places(settings) {
        let bound = patiently(|| bind(addr), |error| error.kind() == io::ErrorKind::AddrInUse).await;
        bound.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => PortError::Taken { addr, app, flag, variable },
            _ => PortError::Bind { addr, app, flag, source },
        })?;
    }
    Ok(())
}

/// Whether the address can be listened on, as the app will.
fn bind(addr: SocketAddr) -> io::Result<()> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)
}
