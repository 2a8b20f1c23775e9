import Testing

@testable import DriveModel

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1"), ("255.255.255.255", "255.255.255.255"), ("::1", "::1"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"), ("::ffff:c000:201", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("::", "::"),
    ])
    func readsAndWrites(text: String, expected: String) {
        #expect(IPAddress(text)?.description == expected)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "1.2.3.4\0", "01x", ":::", "1::2::3", "[::1]", "::1/64", "localhost",
        "1.2.3.4%x",
    ])
    func refusesOtherText(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false), ("10.9.8.7/8", "10.0.0.1", true),
        ("192.168.1.128/25", "192.168.1.127", false), ("192.168.1.128/25", "192.168.1.128", true), ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false), ("::/0", "2001:db8::1", true), ("::/0", "1.2.3.4", false), ("::1", "::1", true),
        ("::1", "::2", false), ("127.0.0.1", "127.0.0.1", true), ("127.0.0.1/32", "127.0.0.2", false),
        ("2001:db8::/33", "2001:db8:8000::", false),
        ("2001:db8::/33", "2001:db8:7fff::", true), ("10.0.0.0/8", "::ffff:10.1.1.1", true), ("::ffff:10.0.0.0/104", "10.1.1.1", true),
        ("::ffff:0:0/96", "8.8.8.8", true),
    ])
    func networksContainTheirAddresses(network: String, address: String, expected: Bool) throws {
        #expect(try #require(CIDR(network)).contains(try #require(IPAddress(address))) == expected)
    }

    @Test(arguments: [
        "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "::/129", "10.0.0.0/8/8", "x/8", "::ffff:10.0.0.0/95",
    ])
    func refusesOtherNetworks(text: String) {
        #expect(CIDR(text) == nil)
    }
}

@Suite struct IPAddressScopeTests {
    /// The first and last address of each range, and their neighbours.
    @Test(
        arguments: [
            ("0.0.0.0", .none), ("0.255.255.255", .none), ("1.0.0.0", .global),
            ("9.255.255.255", .global), ("10.0.0.0", .local), ("10.255.255.255", .local), ("11.0.0.0", .global),
            ("100.63.255.255", .global), ("100.64.0.0", .local), ("100.127.255.255", .local), ("100.128.0.0", .global),
            ("126.255.255.255", .global), ("127.0.0.0", .loopback), ("127.255.255.255", .loopback), ("128.0.0.0", .global),
            ("169.253.255.255", .global), ("169.254.0.0", .local), ("169.254.169.254", .local), ("169.255.0.0", .global),
            ("172.15.255.255", .global), ("172.16.0.0", .local), ("172.31.255.255", .local), ("172.32.0.0", .global),
            ("191.255.255.255", .global), ("192.0.0.0", .local), ("192.0.0.255", .local), ("192.0.1.0", .global),
            ("192.0.2.1", .local), ("192.88.99.1", .local), ("192.167.255.255", .global), ("192.168.0.0", .local),
            ("192.168.255.255", .local), ("192.169.0.0", .global),
            ("198.17.255.255", .global), ("198.18.0.0", .local), ("198.19.255.255", .local), ("198.20.0.0", .global),
            ("198.51.100.1", .local), ("203.0.113.1", .local), ("223.255.255.255", .global), ("224.0.0.0", .none),
            ("240.0.0.0", .none), ("255.255.255.255", .none),
        ] as [(String, IPAddress.Scope)])
    func ofIPv4(text: String, scope: IPAddress.Scope) {
        #expect(IPAddress(text)?.scope == scope)
        // What holds the address reaches as far: mapped, and translated.
        #expect(IPAddress("::ffff:" + text)?.scope == scope)
        #expect(IPAddress("64:ff9b::" + text)?.scope == scope)
    }

    @Test(
        arguments: [
            ("::", .none), ("::1", .loopback), ("::2", .none), ("::7f00:1", .none), ("::ffff:ffff", .none), ("0:0:0:0:0:1::", .none),
            ("64:ff9b:1::1", .local), ("64:ff9b:1:ffff::8.8.8.8", .local), ("64:ff9b:2::1", .none), ("64:ff9b:0:0:0:1::", .none),
            ("100::1", .none), ("1fff:ffff::", .none), ("2000::", .global), ("2001:0:1:2::3", .none), ("2001:0:ffff::", .none),
            ("2001:1::", .global), ("2001:db7:ffff::", .global), ("2001:db8::", .local), ("2001:db8:ffff::", .local),
            ("2001:db9::", .global), ("2001:ffff::", .global), ("2002:a00:1::", .local), ("2002:7f00:1::", .loopback),
            ("2002:808:808::", .global), ("2002:e000:1::", .none), ("2003::", .global), ("2a00:1450::1%eth0", .global),
            ("3fff:ffff::", .global), ("4000::", .none), ("fbff::", .none), ("fc00::", .local), ("fdff:ffff::", .local), ("fe00::", .none),
            ("fe7f::", .none), ("fe80::1", .local), ("febf::", .local), ("fec0::", .local), ("feff::", .local), ("ff00::", .none),
            ("ff02::1", .none), ("ffff::", .none),
        ] as [(String, IPAddress.Scope)])
    func ofIPv6(text: String, scope: IPAddress.Scope) {
        #expect(IPAddress(text)?.scope == scope)
    }
}
