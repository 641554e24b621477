//! Cases 14 to 19 and 60: sockets of every family, to every place.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use serde_json::json;
use z1::sandbox::End;

use super::harness::{Given, Prey, control, each_tier, empty, landlock, with_loopback};

/// Servers of the host that a program would like to talk to.
struct Servers {
    tcp: TcpListener,
    udp: UdpSocket,
    given: Given,
}

impl Servers {
    fn new() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let given =
            vec![("TCP", json!(tcp.local_addr().unwrap().port())), ("UDP", json!(udp.local_addr().unwrap().port()))];
        Self { tcp, udp, given }
    }

    /// Nobody has spoken to them.
    fn heard_nothing(&self) {
        self.tcp.set_nonblocking(true).unwrap();
        assert!(self.tcp.accept().is_err(), "somebody connected");
        self.udp.set_nonblocking(true).unwrap();
        assert!(self.udp.recv(&mut [0; 16]).is_err(), "somebody sent something");
    }
}

const TO_THE_HOST: [(&str, &str); 3] = [
    ("tcp", "socket.create_connection(('127.0.0.1', TCP), 2)"),
    (
        "udp",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', UDP)); import time; time.sleep(0.05)",
    ),
    (
        "mptcp",
        "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); s.settimeout(2); s.connect(('127.0.0.1', TCP))",
    ),
];

#[test]
fn case_14_and_15_servers_of_the_host_are_out_of_reach() {
    let servers = Servers::new();
    control(&TO_THE_HOST[..2], &Servers::new().given).all_open();
    each_tier(|walls| {
        let results = walls.attempt(&TO_THE_HOST, &servers.given);
        for (name, _) in &TO_THE_HOST {
            results.denied(name, &["EPERM"]);
        }
        if !walls.loose() {
            let results = walls.attempt_under(with_loopback(), &TO_THE_HOST, &servers.given);
            results.denied("tcp", &["ECONNREFUSED"]);
            results.denied("mptcp", &["ECONNREFUSED", "EPROTONOSUPPORT", "ENOPROTOOPT"]);
        }
        let bash = format!("exec 3<>/dev/tcp/127.0.0.1/{}", servers.given[0].1);
        let outcome = walls.run(&empty(), z1::sandbox::Request::new(["bash", "-c", &bash]));
        assert!(!matches!(outcome.end, End::Exit(0)), "{outcome:?}");
    });
    servers.heard_nothing();
}

#[test]
fn case_15_no_way_leads_to_another_machine() {
    let attempts = [
        ("tcp", "s = socket.socket(); s.settimeout(1); s.connect(('192.0.2.1', 80))"),
        ("tcp6", "s = socket.socket(socket.AF_INET6); s.settimeout(1); s.connect(('2001:db8::1', 80))"),
        ("udp", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))"),
        (
            "broadcast",
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(1, 6, 1); s.sendto(b'x', ('255.255.255.255', 9))",
        ),
        ("raw", "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"),
        (
            "ping",
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1).sendto(b'\\x08\\0\\0\\0\\0\\0\\0\\0', ('192.0.2.1', 0))",
        ),
        ("packet", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300)"),
        (
            "names",
            "try:\n    socket.getaddrinfo('example.com', 80)\nexcept socket.gaierror:\n    raise PermissionError(1, 1)",
        ),
        ("fast open", "s = socket.socket(); s.sendto(b'x', 0x20000000, ('192.0.2.1', 80))"),
    ];
    each_tier(|walls| {
        walls.attempt(&attempts, &Vec::new()).all_denied();
        if !walls.loose() {
            walls.attempt_under(with_loopback(), &attempts, &Vec::new()).all_denied();
        }
    });
}

#[test]
fn case_16_a_loopback_of_its_own_is_given_where_there_is_one() {
    let code = "import threading\nserver = socket.create_server(('127.0.0.1', 0))\nthreading.Thread(target=lambda: server.accept()[0].sendall(b'hi')).start()\nassert socket.create_connection(server.getsockname()).recv(2) == b'hi'";
    each_tier(|walls| {
        if walls.loose() {
            // Documented: there is none, and a policy that asks for one is refused rather than weakened.
            let outcome = walls.shell(&with_loopback(), "echo ran");
            assert!(matches!(&outcome.end, End::SandboxError { step, .. } if step == "network"), "{outcome:?}");
            assert_eq!(outcome.stdout.total_bytes, 0);
        } else {
            walls.attempt_under(with_loopback(), &[("talk", code)], &Vec::new()).all_open();
            walls.attempt(&[("talk", code)], &Vec::new()).denied("talk", &["EPERM"]);
        }
    });
}

#[test]
fn case_17_and_60_sockets_of_machines_and_kernels_are_closed() {
    let families: Vec<(String, String)> = [
        ("vsock", "40, 1"),
        ("crypto", "38, 5"),
        ("key", "15, 3"),
        ("netlink generic", "16, 3, 16"),
        ("netlink audit", "16, 3, 9"),
        ("bluetooth", "31, 3"),
        ("can", "29, 3"),
        ("xdp", "44, 3"),
        ("tipc", "30, 1"),
        ("rds", "21, 5"),
        ("smc", "43, 1"),
        ("qipcrtr", "42, 2"),
        ("kcm", "41, 2"),
        ("nfc", "39, 3"),
        ("vsock with flags", "40, 1 | 0x80800"),
    ]
    .iter()
    .map(|(name, arguments)| ((*name).to_owned(), format!("socket.socket({arguments})")))
    .collect();
    let attempts: Vec<(&str, &str)> = families.iter().map(|(name, code)| (name.as_str(), code.as_str())).collect();
    each_tier(|walls| {
        let results = walls.attempt(&attempts, &Vec::new());
        for (name, _) in &attempts {
            results.denied(name, &["EPERM"]);
        }
        if !walls.loose() {
            let results = walls.attempt_under(with_loopback(), &attempts, &Vec::new());
            for (name, _) in &attempts {
                results.denied(name, &["EPERM"]);
            }
        }
        // The ways of Windows' subsystem to leave.
        let ways = [("run", "os.listdir('/run/WSL')"), ("init", "read('/init')"), ("drive", "os.listdir('/mnt/c')")];
        walls.attempt(&ways, &Vec::new()).all_denied();
    });
}

#[test]
fn case_18_and_19_daemons_behind_unix_sockets_do_not_answer() {
    let prey = Prey::new();
    let path = prey.path().join("docker.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    let name = super::harness::marker();
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let given = vec![("SOCKET", json!(path)), ("NAME", json!(name))];
    let attempts = [
        ("path", "socket.socket(socket.AF_UNIX).connect(SOCKET)"),
        ("abstract", "socket.socket(socket.AF_UNIX).connect('\\0' + NAME)"),
        ("datagram", "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', SOCKET)"),
    ];
    control(&attempts[..2], &given).all_open();
    each_tier(|walls| {
        let results = walls.attempt(&attempts, &given);
        if walls.loose() {
            for (name, _) in &attempts {
                results.denied(name, &["EPERM"]);
            }
        } else {
            results.denied("path", &["ENOENT"]);
            results.denied("datagram", &["ENOENT"]);
            results.denied("abstract", &["ECONNREFUSED", "EPERM"]);
        }
    });
}

#[test]
fn case_18_a_socket_in_a_granted_folder_is_a_documented_way_out() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("daemon");
    let _listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    let given = vec![("SOCKET", json!(path))];
    each_tier(|walls| {
        let mut policy = empty();
        policy.ro = vec![folder.path().to_owned()];
        let version = landlock(&walls.shell(&policy, "true"));
        let results = walls.attempt_under(
            policy.clone(),
            &[("connect", "socket.socket(socket.AF_UNIX).connect(SOCKET)")],
            &given,
        );
        if walls.loose() || version >= 9 {
            results.all_denied();
        } else {
            results.open("connect");
        }
        // Hidden, it is out of reach.
        policy.hide = vec![path.clone()];
        walls
            .attempt_under(policy, &[("connect", "socket.socket(socket.AF_UNIX).connect(SOCKET)")], &given)
            .all_denied();
    });
}

#[test]
fn pairs_of_sockets_work_and_carry_no_other_family() {
    each_tier(|walls| {
        let attempts = [
            ("pair", "a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'"),
            ("inet", "socket.socketpair(socket.AF_INET)"),
        ];
        let results = walls.attempt(&attempts, &Vec::new());
        results.open("pair");
        results.denied("inet", &["EPERM"]);
    });
}
