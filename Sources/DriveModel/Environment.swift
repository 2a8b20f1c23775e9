#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif
import Foundation

/// What a rule may ask of the world: the time of day and randomness. Injected, so that tests decide both.
public struct Surroundings: Sendable {
    /// The time of day.
    public var now: @Sendable () -> Timestamp
    /// Unguessable bytes.
    public var randomBytes: @Sendable (_ count: Int) -> [UInt8]

    public init(now: @escaping @Sendable () -> Timestamp, randomBytes: @escaping @Sendable (Int) -> [UInt8]) {
        self.now = now
        self.randomBytes = randomBytes
    }

    /// The machine's clock and the kernel's random source.
    public static let system = Surroundings(
        now: {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
        },
        randomBytes: { count in
            var generator = SystemRandomNumberGenerator()
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count + 7)
            while bytes.count < count { withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) } }
            bytes.removeLast(bytes.count - count)
            return bytes
        }
    )

    /// 0 up to 1, for what shall be spread.
    public func randomFraction() -> Double {
        let bytes = randomBytes(4)
        return Double(bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }) / Double(1 << 32 as UInt64)
    }

    /// A new unguessable identifier: 22 letters and digits, 128 random bits at least.
    public func newIdentifier() -> String {
        Self.identifier(from: randomBytes(32))
    }

    /// A new unguessable UUID of version 4 (RFC 9562 section 5.4).
    public func newUUID() -> UUID {
        var bytes = randomBytes(16)
        guard bytes.count == 16 else { return UUID() }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        return bytes.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) }
    }

    static func identifier(from bytes: [UInt8]) -> String {
        // Base 62 by rejection, so that every letter is equally likely; 32 bytes suffice but for one time in 10⁶,
        // then the modulo's small bias on the last letters does no harm.
        var text: [UInt8] = []
        text.reserveCapacity(22)
        for byte in bytes where text.count < 22 && byte < 248 { text.append(alphabet[Int(byte % 62)]) }
        var index = 0
        while text.count < 22, !bytes.isEmpty {
            text.append(alphabet[Int(bytes[index % bytes.count]) % 62])
            index += 1
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static let alphabet = Array("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
}
