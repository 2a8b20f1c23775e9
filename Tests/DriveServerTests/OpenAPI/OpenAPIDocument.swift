import Foundation
import Yams

@testable import DriveServer

/// The folder of the package.
let repositoryRoot = URL(filePath: #filePath).appending(path: "../../../..").standardizedFileURL.path(percentEncoded: false)

/// `docs/openapi.yaml` as the tests ask it.
struct OpenAPIDocument {
    struct Operation: Sendable {
        /// `GET /files/me`.
        var name: String
        var path: String
        var identifier: String
        /// Whether the API's prefixes stand before the path: it has no servers of its own, or names them too.
        var isUnderPrefix: Bool
        /// Whether the path is there without a prefix: `/` is among its own servers.
        var isOutsidePrefix: Bool
        var security: [[String: [String]]]
        var parameters: [(name: String, place: String)]
        /// Descriptions by status.
        var responses: [String: String]
    }

    struct Schema {
        var properties: Set<String>
        var required: Set<String>
    }

    struct Malformed: Error, CustomStringConvertible {
        var description: String
    }

    private static let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"]

    private let root: [String: Any]
    let servers: [String]
    let operations: [Operation]

    init() throws {
        let text = try String(contentsOfFile: repositoryRoot + "/docs/openapi.yaml", encoding: .utf8)
        guard let root = try Yams.load(yaml: text) as? [String: Any], let paths = root["paths"] as? [String: [String: Any]] else {
            throw Malformed(description: "docs/openapi.yaml has no paths")
        }
        self.root = root
        let servers = Self.urls(root["servers"])
        self.servers = servers
        let general = root["security"] as? [[String: [String]]] ?? []
        operations = paths.flatMap { path, item in
            let own = Self.urls(item["servers"])
            return Self.methods.compactMap { method -> Operation? in
                guard let operation = item[method] as? [String: Any] else { return nil }
                let parameters = Self.list(item["parameters"]) + Self.list(operation["parameters"])
                let responses = operation["responses"] as? [String: [String: Any]] ?? [:]
                return Operation(
                    name: "\(method.uppercased()) \(path)", path: path, identifier: operation["operationId"] as? String ?? "",
                    isUnderPrefix: own.isEmpty || Set(own).isSuperset(of: servers), isOutsidePrefix: own.contains("/"),
                    security: operation["security"] as? [[String: [String]]] ?? general,
                    parameters: parameters.map { parameter in
                        let found = (parameter["$ref"] as? String).flatMap { Self.node(at: $0, in: root) as? [String: Any] } ?? parameter
                        return (found["name"] as? String ?? "", found["in"] as? String ?? "")
                    },
                    responses: responses.mapValues { $0["description"] as? String ?? "" })
            }
        }
    }

    private static func list(_ node: Any?) -> [[String: Any]] { node as? [[String: Any]] ?? [] }

    private static func urls(_ node: Any?) -> [String] { list(node).compactMap { $0["url"] as? String } }

    private static func node(at reference: String, in root: [String: Any]) -> Any? {
        reference.split(separator: "/").dropFirst().reduce(root as Any?) { node, key in (node as? [String: Any])?[String(key)] }
    }

    /// What a reference such as `#/components/schemas/Pool` leads to.
    func node(at reference: String) -> Any? { Self.node(at: reference, in: root) }

    /// Every `$ref`.
    var references: Set<String> {
        func collect(_ node: Any?, into found: inout Set<String>) {
            if let map = node as? [String: Any] {
                for (key, value) in map {
                    if key == "$ref", let text = value as? String { found.insert(text) }
                    collect(value, into: &found)
                }
            } else if let list = node as? [Any] {
                for value in list { collect(value, into: &found) }
            }
        }
        var found: Set<String> = []
        collect(root, into: &found)
        return found
    }

    // MARK: Schemas

    var schemaNames: [String] { (node(at: "#/components/schemas") as? [String: Any]).map { Array($0.keys) } ?? [] }

    func schema(_ name: String) throws -> Schema {
        guard let node = node(at: "#/components/schemas/\(name)") as? [String: Any] else {
            throw Malformed(description: "there is no schema \(name)")
        }
        let properties = node["properties"] as? [String: Any] ?? [:]
        return Schema(properties: Set(properties.keys), required: Set(node["required"] as? [String] ?? []))
    }

    /// The words of an enumeration, in order.
    func words(of name: String) throws -> [String] {
        guard let words = node(at: "#/components/schemas/\(name)/enum") as? [String] else {
            throw Malformed(description: "\(name) is no enumeration")
        }
        return words
    }
}
