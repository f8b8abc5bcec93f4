//! One address for the agents' HTTP API: whoever connects talks to the replica that leads, which is the one that knows
//! what was put back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Connections at the same time; more wait.
const MAX_CONNECTIONS: usize = 64;
/// How long one may last.
const LIMIT: Duration = Duration::from_secs(60);
/// Wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Passes connections on to where `leader` says, until `stopped` is cancelled. Where nobody leads, they are closed.
pub(super) async fn pass_on(
    listener: TcpListener,
    leader: watch::Receiver<Option<SocketAddr>>,
    stopped: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = stopped.run_until_cancelled(async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        });
        let Some((place, accepted)) = accepted.await else { return };
        let Ok((mut client, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let address = *leader.borrow();
        let stopped = stopped.clone();
        tokio::spawn(async move {
            let exchange = async {
                let mut agent = TcpStream::connect(address?).await.ok()?;
                copy_bidirectional(&mut client, &mut agent).await.ok()
            };
            // However it ends, both sides see their connection closed.
            let _ = stopped.run_until_cancelled(tokio::time::timeout(LIMIT, exchange)).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn connections_go_to_the_leader_of_the_moment() {
        let bind = || async { TcpListener::bind("127.0.0.1:0").await.unwrap() };
        let (front, one, two) = (bind().await, bind().await, bind().await);
        let (tell, leader) = watch::channel(None);
        let address = front.local_addr().unwrap();
        let stopped = CancellationToken::new();
        let passing = tokio::spawn(pass_on(front, leader, stopped.clone()));
        for (agent, word) in [(&one, b"one"), (&two, b"two")] {
            tell.send(Some(agent.local_addr().unwrap())).unwrap();
            let mut client = TcpStream::connect(address).await.unwrap();
            let (mut accepted, _) = agent.accept().await.unwrap();
            accepted.write_all(word).await.unwrap();
            let mut read = [0; 3];
            client.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, word);
        }
        tell.send(None).unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0, "nobody leads");
        stopped.cancel();
        passing.await.unwrap();
    }
}
