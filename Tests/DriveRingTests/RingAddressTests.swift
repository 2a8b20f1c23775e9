import Testing

@testable import DriveRing

@Suite struct RingAddressTests {
    @Test(arguments: [
        ("https://ring.example.org:50051", RingAddress(isSecure: true, host: "ring.example.org", port: 50051)),
        ("http://127.0.0.1:5", RingAddress(isSecure: false, host: "127.0.0.1", port: 5)),
        ("HTTPS://ring_service/", RingAddress(isSecure: true, host: "ring_service", port: 443)),
        ("http://localhost", RingAddress(isSecure: false, host: "localhost", port: 80)),
        ("http://[::1]:50051", RingAddress(isSecure: false, host: "::1", port: 50051)),
    ]) func isRead(_ text: String, _ address: RingAddress) {
        #expect(RingAddress(text) == address)
    }

    @Test(arguments: [
        "", "ring:50051", "ftp://ring:1", "https://", "https://:1", "https://a:0", "https://a:65536", "https://a:1x", "https://a:+1",
        "https://a:1/path", "https://user@a:1", "https://a b", "https://[::1", "https://[a]:1", "https://[::1]1", "https://a:",
        "https://é:1",
    ]) func isNone(_ text: String) {
        #expect(RingAddress(text) == nil)
    }

    @Test func literalAddressesNeedNoResolver() {
        #expect(RingAddress("http://10.0.0.1:1")?.isIPv4 == true && RingAddress("http://10.0.0.256:1")?.isIPv4 == false)
        #expect(RingAddress("http://[::1]:1")?.isIPv6 == true)
    }
}
