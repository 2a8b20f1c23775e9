import Foundation
import Synchronization

/// A TCP port of 127.0.0.1 that is ours but does not listen yet: connections to it are refused.
public struct LoopbackPort {
    public struct Unavailable: Error {
        public let reason: String
    }

    public let descriptor: Int32
    public let number: Int

    /// This port, or one the system chooses; the descriptor is the caller's to close.
    public static func reserve(_ number: UInt16 = 0) throws -> LoopbackPort {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Unavailable(reason: "no socket") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = number.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 ? getsockname(descriptor, pointer, &length) : -1
            }
        }
        guard result == 0 else {
            close(descriptor)
            throw Unavailable(reason: "no port: \(String(cString: strerror(errno)))")
        }
        return LoopbackPort(descriptor: descriptor, number: Int(UInt16(bigEndian: address.sin_port)))
    }

    private static let candidates = 10_000..<20_000 as Range<UInt16>
    private static let next = Mutex(UInt16.random(in: candidates))

    /// Different ports that were free just now, for a program that must be told its port. The system gives none of them to who asks for
    /// any, and none is given here again soon.
    public static func free(_ count: Int) throws -> [Int] {
        var numbers: [Int] = []
        for _ in candidates where numbers.count < count {
            let number = next.withLock { next in
                defer { next = next + 1 < candidates.upperBound ? next + 1 : candidates.lowerBound }
                return next
            }
            guard let port = try? reserve(number) else { continue }
            close(port.descriptor)
            numbers.append(port.number)
        }
        guard numbers.count == count else { throw Unavailable(reason: "no free ports") }
        return numbers
    }
}
