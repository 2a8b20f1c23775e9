import Yams

/// A value as it was written, before a setting gives it a meaning. Lines count from 1.
package indirect enum ConfigurationNode: Sendable, Equatable {
    case text(String, line: Int?)
    /// A YAML null, or a key without a value: the same as leaving it out.
    case null(line: Int?)
    case list([ConfigurationNode], line: Int?)
    case mapping([Entry], line: Int?)

    /// One key of a mapping, with its value.
    package struct Entry: Sendable, Equatable {
        package var key: String
        package var line: Int?
        package var value: ConfigurationNode
    }

    package var line: Int? {
        switch self {
        case .text(_, let line), .null(let line), .list(_, let line), .mapping(_, let line): line
        }
    }

    /// The value for a message, on one line.
    package var shown: String {
        switch self {
        case .text(let text, _): text
        case .null: "null"
        case .list(let items, _): "[" + items.map(\.shown).joined(separator: ", ") + "]"
        case .mapping(let entries, _): "{" + entries.map(\.key).joined(separator: ", ") + "}"
        }
    }
}

/// A text that is not YAML.
struct YAMLSyntaxError: Error, Equatable {
    var reason: String
    var line: Int?
}

extension ConfigurationNode {
    /// The node of a YAML text; null for an empty one. YAML's types are not used: each setting reads its own text.
    static func parse(yaml: String) throws(YAMLSyntaxError) -> ConfigurationNode {
        do {
            guard let root = try Yams.compose(yaml: yaml) else { return .null(line: nil) }
            return convert(root)
        } catch let error as YamlError {
            throw YAMLSyntaxError(error)
        } catch {
            throw YAMLSyntaxError(reason: "cannot be read as YAML", line: nil)
        }
    }

    private static func convert(_ node: Node) -> ConfigurationNode {
        let line = node.mark?.line
        switch node {
        case .scalar(let scalar):
            let isNull = scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
            return isNull ? .null(line: line) : .text(scalar.string, line: line)
        case .sequence(let items):
            return .list(items.map(convert), line: line)
        case .mapping(let mapping):
            return .mapping(
                mapping.map { pair in
                    let key = pair.key.scalar?.string ?? "(a key that is not a text)"
                    return Entry(key: key, line: pair.key.mark?.line, value: convert(pair.value))
                }, line: line)
        case .alias:
            // The composer puts the anchored node in an alias's place; this case is for emitting alone.
            return .null(line: line)
        }
    }
}

extension YAMLSyntaxError {
    init(_ error: YamlError) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            self.init(reason: "is not valid YAML: \(problem)", line: mark.line)
        case .duplicatedKeysInMapping(let duplicates, let context):
            let keys = duplicates.sorted().map(LogEscaping.visible).joined(separator: ", ")
            self.init(reason: "gives a key twice: \(keys)", line: context.mark.line)
        case .reader(let problem, _, _, _):
            self.init(reason: "is not valid YAML: \(problem)", line: nil)
        default:
            self.init(reason: "cannot be read as YAML", line: nil)
        }
    }
}
