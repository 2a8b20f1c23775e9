import Foundation

/// A TCP port of 127.0.0.1 that is ours but does not listen yet: connections to it are refused.
public struct LoopbackPort {
    public struct Unavailable: Error {
        public let reason: String
    }

    public let descriptor: Int32
    public let number: Int

    /// A port the system chooses; the descriptor is the caller's to close.
    public static func reserve() throws -> LoopbackPort {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Unavailable(reason: "no socket") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
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

    /// Different ports that were free just now, for a program that must be told its port.
    public static func free(_ count: Int) throws -> [Int] {
        var ports: [LoopbackPort] = []
        defer { for port in ports { close(port.descriptor) } }
        for _ in 0..<count { ports.append(try reserve()) }
        return ports.map(\.number)
    }
}
