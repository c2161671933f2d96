use super::*;

fn parse(text: &str) -> Result<Endpoint, EndpointError> {
    text.parse()
}

#[test]
fn canonical_texts_parse_and_display_unchanged() {
    for text in [
        "tcp://127.0.0.1:0",
        "tcp://*:5555",
        "tcp://*:0",
        "tcp://[::1]:5555",
        "tcp://[::]:65535",
        "tcp://eth0:5555",
        "tcp://eth0.100:5555",
        "tcp://host.name:5555",
        "tcp://host.name.:5555",
        "tcp://[fe80::1%eth0]:5555",
        "tcp://[fe80::1%eth0.100]:0",
        "tcp://[fe80::1%2]:5555",
        "tcp://127.0.0.1:0;host:5555",
        "tcp://*:0;host:5555",
        "tcp://eth0:80;[fe80::1%2]:5555",
        "tcp://[fe80::1%eth0]:80;[fe80::2%eth0]:5555",
        "ipc:///tmp/a.sock",
        "ipc://relative/path",
        "ipc://@abstract",
        "ipc://./@file",
        "ipc://*",
        "inproc://name",
        "inproc://a://b",
    ] {
        let endpoint = parse(text).unwrap();
        assert_eq!(endpoint.to_string(), text);
        assert_eq!(Endpoint::try_from(endpoint.to_string()).as_ref(), Ok(&endpoint));
        assert_eq!(Endpoint::from(&endpoint), endpoint);
        assert!(text.starts_with(endpoint.scheme()));
        assert_eq!(endpoint.port().is_some(), text.starts_with("tcp"));
    }
}

#[test]
fn other_spellings_become_canonical() {
    for (text, canonical) in [
        ("tcp://*:*", "tcp://*:0"),
        ("tcp://[0:0::1]:00080", "tcp://[::1]:80"),
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:0"),
        ("tcp://127.0.0.1:*;host:080", "tcp://127.0.0.1:0;host:80"),
        ("tcp://[FE80::0:1%02]:5", "tcp://[fe80::1%2]:5"),
    ] {
        assert_eq!(parse(text).unwrap().to_string(), canonical);
        assert_eq!(parse(text), parse(canonical));
    }
}

#[test]
fn each_mistake_has_its_error() {
    use EndpointErrorKind::*;
    let long_host = format!("tcp://{}:1", "a".repeat(HOST_NAME_MAX + 1));
    let long_path = format!("ipc://{}", "p".repeat(IPC_PATH_MAX + 1));
    let long_abstract = format!("ipc://@{}", "p".repeat(IPC_PATH_MAX + 1));
    let long_name = format!("inproc://{}", "n".repeat(INPROC_NAME_MAX + 1));
    for (text, error) in [
        ("", MissingScheme),
        ("tcp", MissingScheme),
        ("tcp:/host:1", MissingScheme),
        ("://host:1", MissingScheme),
        ("TCP://host:1", UnknownScheme),
        ("udp://host:1", UnknownScheme),
        (" tcp://host:1", UnknownScheme),
        ("tcp://", EmptyHost),
        ("tcp://:5555", EmptyHost),
        ("tcp://[]:5555", EmptyHost),
        ("tcp://host", MissingPort),
        ("tcp://host:", MissingPort),
        ("tcp://[::1]", MissingPort),
        ("tcp://[::1]:", MissingPort),
        ("tcp://host:70000", InvalidPort),
        ("tcp://host:65536", InvalidPort),
        ("tcp://host:+5", InvalidPort),
        ("tcp://host:-1", InvalidPort),
        ("tcp://host: 5", InvalidPort),
        ("tcp://host:5 ", InvalidPort),
        ("tcp://host:٥", InvalidPort),
        ("tcp://host:5/path", InvalidPort),
        ("tcp://::1:5555", InvalidHost),
        ("tcp://[::1:5555", InvalidHost),
        ("tcp://[::1]5555", InvalidHost),
        ("tcp://[127.0.0.1]:5555", InvalidHost),
        ("tcp://[fe80::1%]:5555", InvalidHost),
        ("tcp://[fe80::1%0]:5555", InvalidHost),
        ("tcp://[fe80::1%4294967296]:5555", InvalidHost),
        ("tcp://[fe80::1%a b]:5555", InvalidHost),
        ("tcp://[fe80::1%eth0%eth0]:5555", InvalidHost),
        ("tcp://[fe80::1%sixteen-octets--]:5555", InvalidHost),
        ("tcp://[%eth0]:5555", InvalidHost),
        ("tcp://127.0.0.1%eth0:5555", InvalidHost),
        ("tcp://127.0.0.256:5555", InvalidHost),
        ("tcp://ho st:5555", InvalidHost),
        ("tcp://*a:5555", InvalidHost),
        ("tcp://a..b:5555", InvalidHost),
        ("tcp://a;b:5555", MissingPort),
        ("tcp://;b:5555", EmptyHost),
        ("tcp://a:1;b", MissingPort),
        ("tcp://a:1;", EmptyHost),
        ("tcp://a:1;b:2;c:3", InvalidHost),
        ("tcp://a..b:1;c:2", InvalidHost),
        (&long_host, InvalidHost),
        ("ipc://", EmptyPath),
        ("ipc://@", EmptyPath),
        ("ipc://a\0b", InvalidPath),
        ("ipc://@a\0b", InvalidPath),
        (&long_path, PathTooLong),
        (&long_abstract, PathTooLong),
        ("inproc://", EmptyName),
        (&long_name, NameTooLong),
    ] {
        assert_eq!(parse(text), Err(EndpointError::new(text, error)), "{text}");
    }
}

#[test]
fn the_longest_paths_and_names_are_accepted() {
    assert!(parse(&format!("ipc://{}", "p".repeat(IPC_PATH_MAX))).is_ok());
    assert!(parse(&format!("ipc://@{}", "p".repeat(IPC_PATH_MAX))).is_ok());
    assert!(parse(&format!("inproc://{}", "n".repeat(INPROC_NAME_MAX))).is_ok());
}

#[test]
fn constructors_agree_with_the_text() {
    assert_eq!(Endpoint::tcp("127.0.0.1:80".parse().unwrap()), parse("tcp://127.0.0.1:80").unwrap());
    let zoned = SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 80, 0, 2).into();
    assert_eq!(Endpoint::tcp(zoned), parse("tcp://[fe80::1%2]:80").unwrap());
    let Address::Tcp { host, port, .. } = &Endpoint::tcp(zoned).address else { unreachable!("it is tcp") };
    assert_eq!(host.address(*port), Some(zoned), "and back");
    assert_eq!(Endpoint::ipc("/tmp/a"), parse("ipc:///tmp/a"));
    assert_eq!(Endpoint::inproc("name"), parse("inproc://name"));
    assert_eq!(Endpoint::inproc(""), parse("inproc://"));
    assert_eq!(Endpoint::ipc(""), parse("ipc://"));
    assert_eq!(Endpoint::ipc("a\0"), parse("ipc://a\0"));
}

#[test]
fn a_path_stays_a_path() {
    for name in ["@file", "*"] {
        let endpoint = Endpoint::ipc(name).unwrap();
        assert!(matches!(endpoint.address(), Address::Ipc(IpcAddress::Path(_))));
        assert_eq!(parse(&endpoint.to_string()), Ok(endpoint));
    }
}

#[test]
fn wildcards_are_host_port_and_path() {
    for text in ["tcp://*:5555", "tcp://127.0.0.1:*", "tcp://host:0", "ipc://*"] {
        assert!(parse(text).unwrap().is_wildcard(), "{text}");
    }
    for text in ["tcp://0.0.0.0:5555", "ipc://a*", "ipc://@*", "inproc://*"] {
        assert!(!parse(text).unwrap().is_wildcard(), "{text}");
    }
}

#[test]
fn any_text_parses_to_a_round_trip_or_an_error() {
    // Pieces that meet the parser's branches far more often than random characters would.
    const PIECES: [&str; 24] = [
        "tcp",
        "ipc",
        "inproc",
        "://",
        ":",
        "*",
        "@",
        "[",
        "]",
        "::",
        "1",
        "65535",
        "99999",
        ".",
        "/",
        "a",
        "é",
        "\0",
        " ",
        "%",
        ";",
        "-",
        "127.0.0.1",
        "fe80",
    ];
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        // xorshift64
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    let mut parsed = 0;
    for _ in 0..200_000 {
        let mut text = String::new();
        if random(4) > 0 {
            text.push_str(["tcp://", "ipc://", "inproc://"][random(3)]);
        }
        for _ in 0..random(8) {
            text.push_str(PIECES[random(PIECES.len())]);
        }
        if let Ok(endpoint) = parse(&text) {
            parsed += 1;
            assert_eq!(parse(&endpoint.to_string()), Ok(endpoint), "{text}");
        }
    }
    assert!(parsed > 1000, "{parsed}");
}
