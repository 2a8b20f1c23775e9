/// Where published bytes lie. Paths are relative to the store and were given out by it.
public protocol BlobStore: Sendable {
    /// Opens a blob for reading. Throws `StorageError` with ENOENT where it is missing.
    func open(_ path: String) async throws -> OpenFile
    /// Removes a blob; a missing one is fine.
    func remove(_ path: String) async throws
    /// The paths of all blobs.
    func list() async throws -> [String]
}
