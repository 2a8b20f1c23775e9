import Foundation

/// Folders of this test run, below one that the reaper removes.
enum TemporaryFolder {
    private static let root: String = {
        let base = ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
        let path = (base as NSString).appendingPathComponent("drive-e2e.\(UUID().uuidString.prefix(8))")
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        Reaper.shared.remove(folder: path)
        return path
    }()

    /// A new empty folder.
    static func make(_ name: String) throws -> String {
        let path = root + "/\(name).\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        return path
    }

    static func remove(_ path: String) {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// Paths of the files below a folder, relative to it.
    static func files(in path: String) -> [String] {
        var found: [String] = []
        guard let all = FileManager.default.enumerator(atPath: path) else { return found }
        for case let name as String in all {
            var isFolder: ObjCBool = false
            if FileManager.default.fileExists(atPath: path + "/" + name, isDirectory: &isFolder), !isFolder.boolValue { found.append(name) }
        }
        return found
    }
}
