import DriveModel
import Foundation

/// How files are renamed: by a template, or by literal text in their names.
enum NameTemplate: Hashable, Sendable {
    /// `{name}`, `{stem}` (the name up to its last dot), `{extension}` (from that dot on, empty where there is none), `{index}`
    /// (from 1, in the task's order) and `{date}` (of the upload, `2025-11-09`).
    case template([Piece])
    case replacing(String, with: String)

    enum Piece: Hashable, Sendable {
        case text(String)
        case field(Field)
    }

    enum Field: String, Sendable, CaseIterable {
        case name, stem, `extension`, index, date
    }

    /// The parameters of a renaming.
    static let names: Set<String> = ["newName", "find", "replaceWith"]

    init(_ parameters: TaskParameters) throws(DriveError) {
        let template = try parameters.text("newName", maximumBytes: 1024)
        let find = try parameters.text("find", maximumBytes: 1024)
        switch (template, find) {
        case (let template?, nil):
            if parameters["replaceWith"] != nil { throw TaskParameters.invalid("replaceWith", "goes with find, not with newName") }
            self = .template(try Self.pieces(template))
        case (nil, let find?):
            let text = try parameters.text("replaceWith", maximumBytes: 1024, allowsEmpty: true) ?? ""
            self = .replacing(find.precomposedStringWithCanonicalMapping, with: text)
        default: throw TaskParameters.invalid("newName", "or find (one of them) must say what the files are to be called")
        }
    }

    private static func pieces(_ template: String) throws(DriveError) -> [Piece] {
        var pieces: [Piece] = []
        var rest = Substring(template)
        while let open = rest.firstIndex(of: "{") {
            if open > rest.startIndex { pieces.append(.text(String(rest[..<open]))) }
            let inside = rest[rest.index(after: open)...]
            guard let close = inside.firstIndex(of: "}"), let field = Field(rawValue: String(inside[..<close])) else {
                let known = Field.allCases.map { "{\($0.rawValue)}" }.joined(separator: ", ")
                throw TaskParameters.invalid("newName", "knows only \(known) in braces")
            }
            pieces.append(.field(field))
            rest = inside[inside.index(after: close)...]
        }
        if !rest.isEmpty { pieces.append(.text(String(rest))) }
        return pieces
    }

    /// The new name of a file; throws `INVALID_FILE_NAME`.
    /// - Parameter position: its place among the task's items, from 0.
    func name(for file: CloudFile, at position: Int) throws(DriveError) -> String {
        switch self {
        case .replacing(let find, let text): return try FileName.validated(file.name.replacing(find, with: text))
        case .template(let pieces):
            // A dot at the beginning begins no extension.
            let dot = file.name.dropFirst().lastIndex(of: ".") ?? file.name.endIndex
            var name = ""
            for piece in pieces {
                switch piece {
                case .text(let text): name += text
                case .field(.name): name += file.name
                case .field(.stem): name += file.name[..<dot]
                case .field(.extension): name += file.name[dot...]
                case .field(.index): name += "\(position + 1)"
                case .field(.date): name += file.createdAt.description.prefix(10)
                }
            }
            return try FileName.validated(name)
        }
    }
}
