/// One upload whose bytes come as a stream: what its client sent, and what it was promised, when the server dies.
struct CrashStream: Sendable {
    enum Face: String, CaseIterable, Sendable {
        case tus, resumable
    }

    let face: Face
    /// The file's name. No other upload has it.
    let name: String
    let bytes: [UInt8]
    /// Whether it is one part of a concatenation, which becomes no file.
    var isPart = false
    /// The target, once a response gave it.
    var path: String?
    /// The furthest offset that a response gave.
    var acknowledged = 0
    /// Where the bytes end that were given to a connection.
    var sent = 0
    /// Where the unanswered body lies whose digest was sent with it: all of its bytes count, or none.
    var checksummed: Range<Int>?
    /// Whether a response said that it is complete.
    var isCompleted = false
    var endAsked = false
    var isEnded = false

    init(_ face: Face, name: String, bytes: [UInt8], isPart: Bool = false) {
        self.face = face
        self.name = name
        self.bytes = bytes
        self.isPart = isPart
    }

    /// The upload's id in Drive's own API.
    var taskId: String? { path.flatMap { $0.split(separator: "/").last.map(String.init) } }

    /// Whether the server may say that the kept bytes end there.
    func allows(_ offset: Int) -> Bool {
        if isCompleted { return offset == bytes.count }
        guard (acknowledged...max(acknowledged, sent)).contains(offset) else { return false }
        guard let checksummed else { return true }
        return offset <= checksummed.lowerBound || offset >= checksummed.upperBound
    }

    /// What a failure says of it.
    var promise: String {
        if isCompleted { return "complete with \(bytes.count) bytes" }
        let whole = checksummed.map { ", of \($0) all or nothing" } ?? ""
        return "\(acknowledged) acknowledged, \(sent) sent of \(bytes.count)\(whole)"
    }

    // MARK: What happens to it

    /// A body is about to be sent.
    mutating func begin(_ range: Range<Int>, isChecksummed: Bool) {
        checksummed = isChecksummed ? range : nil
    }

    /// A response told where the kept bytes end, and nothing is under way any more.
    mutating func settle(at offset: Int) {
        (acknowledged, sent, checksummed) = (offset, offset, nil)
    }
}

/// A concatenation over tus.
struct CrashJoin: Sendable {
    /// The file's name.
    let name: String
    let bytes: [UInt8]
    /// The names of the parts, in order.
    let parts: [String]
    /// The target, once a response gave it.
    var path: String?
    /// Whether a response gave it an offset: it is put together.
    var isCompleted = false
}
