use std::time::Duration;

use super::inbox::MAX_DATAGRAM;
use super::*;

fn receiver() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn sender(address: &str) -> UdpSocket {
    bind_group(address.parse().unwrap(), 1).unwrap().remove(0)
}

/// The lengths of the datagrams that come, each of which begins with its number.
fn lengths(socket: &UdpSocket, count: usize) -> Vec<usize> {
    let mut buffer = [0; 4096];
    (0..count)
        .map(|number| {
            let (length, _) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!(buffer[0], number as u8, "in order");
            length
        })
        .collect()
}

const SIZES: [usize; 9] = [1200, 1200, 1200, 700, 700, 1200, 40, 1200, 1200];

fn fill(outbox: &mut Outbox, to: &[SocketAddr]) {
    for (number, size) in SIZES.into_iter().enumerate() {
        for to in to {
            outbox.push(*to, |out| {
                out.push(number as u8);
                out.resize(out.len() + size - 1, 7);
            });
        }
    }
}

#[test]
fn datagrams_arrive_whole_and_in_order_however_they_are_sent() {
    for segments in [true, false] {
        for bound in ["127.0.0.1:0", "[::]:0"] {
            let ((one, to_one), (two, to_two)) = (receiver(), receiver());
            let mut outbox = Outbox::new();
            outbox.segments = segments;
            fill(&mut outbox, &[to_one]);
            fill(&mut outbox, &[to_two]);
            if !segments {
                outbox.split_runs(0);
            }
            let flushed = outbox.flush(&sender(bound));
            assert_eq!(flushed, Flushed { datagrams: 2 * SIZES.len(), dropped: 0 }, "{bound}");
            assert_eq!(lengths(&one, SIZES.len()), SIZES);
            assert_eq!(lengths(&two, SIZES.len()), SIZES);
            assert!(outbox.runs.is_empty() && outbox.bytes.is_empty());
        }
    }
}

#[test]
fn equal_sizes_to_one_address_are_one_buffer() {
    let (_, to) = receiver();
    let mut outbox = Outbox::new();
    fill(&mut outbox, &[to]);
    let counts: Vec<usize> = outbox.runs.iter().map(|run| run.count).collect();
    assert_eq!(counts, [4, 1, 2, 2], "a shorter one ends a run, a longer one begins another");
    outbox.push(to, |_| {});
    assert_eq!(outbox.runs.len(), 4, "nothing is no datagram");
}

#[test]
fn an_address_that_cannot_be_reached_keeps_nobody_else_from_getting_theirs() {
    let (socket, to) = receiver();
    let mut outbox = Outbox::new();
    outbox.push("[2001:db8::1]:9".parse().unwrap(), |out| out.push(9));
    fill(&mut outbox, &[to]);
    let flushed = outbox.flush(&sender("127.0.0.1:0"));
    assert_eq!(flushed, Flushed { datagrams: SIZES.len(), dropped: 1 });
    assert_eq!(lengths(&socket, SIZES.len()), SIZES);
}

#[test]
fn no_group_is_given_the_port_of_another() {
    let anyone = "127.0.0.1:0".parse().unwrap();
    // Enough that chance would have it, were shared ports among those that the system chooses from.
    let groups: Vec<Vec<UdpSocket>> = (0..400).map(|_| bind_group(anyone, 2).unwrap()).collect();
    let mut ports: Vec<u16> = groups.iter().map(|group| group[0].local_addr().unwrap().port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), groups.len());
}

#[test]
fn a_group_shares_its_port_and_an_inbox_takes_what_comes() {
    let group = bind_group("127.0.0.1:0".parse().unwrap(), 3).unwrap();
    let addresses: Vec<SocketAddr> = group.iter().map(|socket| socket.local_addr().unwrap()).collect();
    assert!(addresses.windows(2).all(|two| two[0] == two[1]));
    let taken = bind_group(addresses[0], 1).unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse, "a second server is not let in");
    let sockets: Vec<UdpSocket> = (0..30).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for socket in &sockets {
        socket.send_to(b"media", addresses[0]).unwrap();
        socket.send_to(&[0; MAX_DATAGRAM + 1], addresses[0]).unwrap();
    }
    let mut inbox = Inbox::new();
    let mut senders = Vec::new();
    let mut shares = Vec::new();
    for socket in &group {
        let before = senders.len();
        while inbox.receive(socket).is_ok() {
            senders.extend(inbox.datagrams().map(|(from, datagram)| {
                assert_eq!(datagram, b"media", "one that is too long is left out");
                from
            }));
        }
        shares.push(senders.len() - before);
    }
    assert!(
        shares.iter().filter(|share| **share > 0).count() > 1,
        "peers are spread over the sockets: {shares:?}"
    );
    senders.sort();
    let mut expected: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    expected.sort();
    assert_eq!(senders, expected);
}

#[test]
fn a_train_is_taken_apart() {
    let receiver = bind_group("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
    let mut outbox = Outbox::new();
    fill(&mut outbox, &[receiver.local_addr().unwrap()]);
    let sender = sender("127.0.0.1:0");
    outbox.flush(&sender);
    let (mut inbox, mut lengths) = (Inbox::new(), Vec::new());
    while inbox.receive(&receiver).is_ok() {
        for (from, datagram) in inbox.datagrams() {
            assert_eq!(from, sender.local_addr().unwrap());
            assert_eq!(usize::from(datagram[0]), lengths.len(), "in order");
            lengths.push(datagram.len());
        }
    }
    assert_eq!(lengths, SIZES);
}
