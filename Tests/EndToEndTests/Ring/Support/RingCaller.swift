import DriveModel
import Foundation
import Synchronization
import Testing

/// `Harness/ring_client.py`: another program that calls Drive's RingService.
final class RingCaller: Sendable {
    struct Answer: Sendable, CustomStringConvertible {
        /// The status' name.
        let code: String
        let details: String
        /// Nil where the status is not OK.
        let response: JSONValue?
        var description: String { "\(code) \(details) \(response.map { "\($0)" } ?? "")" }
    }

    /// What the caller shows.
    enum SignIn: Sendable {
        case right, none
        case text(String)
    }

    static let token = "service-\(UUID().uuidString)"

    /// The settings of a server that is called at this port.
    static func environment(port: Int) -> [String: String] { ["RING_LISTEN": "127.0.0.1:\(port)", "RING_SERVICE_TOKEN": token] }

    /// What the program said beside its answers: one line for each message of a stream.
    var log: String { program.log }

    private let program: RingProgram
    private let count = Mutex(0)

    /// - Parameter authority: a file in PEM with what to trust; nil: without TLS.
    init(port: Int, trusting authority: String? = nil) throws {
        program = try RingProgram("ring_client.py", ["127.0.0.1:\(port)"] + (authority.map { ["--ca", $0] } ?? []))
    }

    /// One whose calls are answered from now on: the ready line of a server tells of its HTTP port.
    static func connected(port: Int, trusting authority: String? = nil) async throws -> RingCaller {
        let caller = try RingCaller(port: port, trusting: authority)
        let answer = try await caller.call("GetWebsocketConnectionStatusBatch", ["users_id": ringIds("nobody")], more: ["patient": true])
        try #require(answer.code == "OK", "\(answer)")
        return caller
    }

    /// Calls a method; without a service's name it is RingService's.
    /// - Parameter more: of the line for the program, beside the call: `timeout`, `raw`, `patient`, `stream`.
    func call(
        _ method: String, _ request: JSONValue = [:], as signIn: SignIn = .right, more: [String: JSONValue] = [:]
    ) async throws -> Answer {
        let path = method.contains("/") ? method : "RingService/\(method)"
        var line: [String: JSONValue] = ["method": .string(path), "request": request]
        switch signIn {
        case .right: line["metadata"] = ["authorization": .string("Bearer \(Self.token)")]
        case .text(let text): line["metadata"] = ["authorization": .string(text)]
        case .none: break
        }
        line.merge(more) { $1 }
        // Answers come in the order of the calls.
        let number = try count.withLock { count in
            try program.post(.object(line))
            defer { count += 1 }
            return count
        }
        return try await program.told("the answer to \(method)") { lines in
            guard lines.count > number else { return nil }
            let told = lines[number]
            return Answer(
                code: told["code"]?.string ?? "", details: told["details"]?.string ?? "",
                response: told["response"].flatMap { $0 == .null ? nil : $0 })
        }
    }

    /// A call that must be taken.
    @discardableResult
    func taken(_ method: String, _ request: JSONValue, sourceLocation: SourceLocation = #_sourceLocation) async throws -> JSONValue {
        let answer = try await call(method, request)
        try #require(answer.code == "OK", "\(method): \(answer)", sourceLocation: sourceLocation)
        return answer.response ?? [:]
    }

    /// A call that must get this status, with words.
    func refused(
        _ code: String, _ method: String, _ request: JSONValue, as signIn: SignIn = .right, _ comment: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let answer = try await call(method, request, as: signIn)
        #expect(answer.code == code, "\(comment) \(method): \(answer)", sourceLocation: sourceLocation)
        #expect(!answer.details.isEmpty && !answer.details.contains(Self.token), "\(comment) \(answer)", sourceLocation: sourceLocation)
    }
}

// MARK: Messages, as the program takes them

/// Bytes of a message.
func ringBytes(_ text: String) -> JSONValue { .string(Data(text.utf8).base64EncodedString()) }

/// A `WebSocketPacket`.
func ringPacket(_ type: String, _ data: JSONValue = ["text": "hello"], error: String? = nil) throws -> JSONValue {
    var packet: [String: JSONValue] = ["type": .string(type), "data": ringBytes(try DriveJSON.text(data))]
    packet["error_message"] = error.map { .string($0) }
    return .object(packet)
}

/// A `PushNotification` that the list keeps.
func ringNotification(_ title: String, _ more: [String: JSONValue] = [:]) -> JSONValue {
    .object(["topic": "chat.message", "title": .string(title), "is_savable": true].merging(more) { $1 })
}

/// A list of ids.
func ringIds(_ ids: String...) -> JSONValue { .array(ids.map { .string($0) }) }
