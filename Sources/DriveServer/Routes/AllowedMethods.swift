import DriveModel
import HTTPTypes

/// The methods of every address, for the `Allow` of a `405` (RFC 9110, sections 10.2.1 and 15.5.6).
///
/// Only asked where the router found nothing, so it looks through the table. The addresses are public, they stand in the
/// OpenAPI document: the answer comes before any token is looked at, as the `404` of an unknown address does.
struct AllowedMethods: Sendable {
    private enum Segment: Hashable, Sendable {
        case literal(Substring), parameter
    }

    /// The router's nodes, also those that are only on the way to others and take nothing.
    private let methods: [[Segment]: [HTTPRequest.Method]]

    /// The table of this server, under each prefix.
    static let table = AllowedMethods(
        RouteTable.prefixes.flatMap { prefix in RouteTable.api.map { (path: prefix + $0.path, method: $0.method) } }
            + RouteTable.root.map { (path: $0.path, method: $0.method) })

    init(_ routes: [(path: String, method: HTTPRequest.Method)]) {
        var methods: [[Segment]: [HTTPRequest.Method]] = [:]
        for route in routes {
            let segments = Self.segments(route.path).map { $0.hasPrefix("{") ? Segment.parameter : .literal($0) }
            for count in 0..<segments.count { methods[Array(segments.prefix(count)), default: []] += [] }
            methods[segments, default: []].append(route.method)
        }
        self.methods = methods
    }

    /// What the address of a request (its path, without the query) takes, sorted; empty where there is no such address.
    ///
    /// As the router sees it: empty segments do not count, and a literal segment goes before a parameter, even where it only leads
    /// to longer addresses (`/tasks/work` is no task's).
    func methods(at path: String) -> [HTTPRequest.Method] {
        let asked = Self.segments(path)
        let fitting = methods.keys.filter { pattern in
            pattern.count == asked.count
                && zip(pattern, asked).allSatisfy { segment, text in segment == .parameter || segment == .literal(text) }
        }
        let best = fitting.min { left, right in
            for (one, other) in zip(left, right) where one != other { return other == .parameter }
            return false
        }
        return best.flatMap { methods[$0] }?.sorted { $0.rawValue < $1.rawValue } ?? []
    }

    /// The refusal of a method that a known address does not have; nil where the address is unknown.
    func refusal(of method: HTTPRequest.Method, at path: String) -> (error: DriveError, allow: String)? {
        let names = methods(at: path).map(\.rawValue)
        guard !names.isEmpty else { return nil }
        let allow = names.joined(separator: ", ")
        let error = DriveError(
            .methodNotAllowed, "This address does not take \(method.rawValue); it takes \(allow).",
            details: ["rule": "method", "allowed": .array(names.map { .string($0) })])
        return (error, allow)
    }

    private static func segments(_ path: String) -> [Substring] { path.split(separator: "/") }
}
