/// What the configuration decides about uploads. Sizes in bytes.
public struct UploadSettings: Sendable {
    public var defaultChunkSize: Int64 = 5_242_880
    public var maximumChunkSize: Int64 = 16_777_216
    public var maximumFileSize: Int64 = 5 << 40
    public var maximumDirectSize: Int64 = 100 << 20
    public var maximumOpenPerAccount: Int64 = 1000
    /// Bytes of one account's unfinished uploads together, whatever they cost of its quota; nil: no limit.
    public var maximumOpenBytesPerAccount: Int64? = 1 << 40
    /// An upload without a sign of life for this long is expired.
    public var staleAfter: Duration = .seconds(24 * 3600)
    /// How long an upload may stay unfinished, whatever its activity.
    public var maximumAge: Duration = .seconds(7 * 24 * 3600)
    /// How long an idle upload stays open in memory.
    public var cacheDuration: Duration = .seconds(30 * 60)
    /// Uploads open in memory at most, each with a file descriptor; idle ones beyond it are closed.
    public var maximumOpenSessions = 2000
    public var sessionLifetime: Duration = .seconds(24 * 3600)
    /// How long a silent sender keeps its chunk against another.
    public var stallTime: Duration = .seconds(3)
    /// How long a second sender of a chunk waits for the first.
    public var claimPatience: Duration = .seconds(30)
    /// How long a request of a stream upload waits for the one it ended to let go.
    public var takeoverPatience: Duration = .seconds(10)
    /// After so many bytes, or so long, the place a stream has come to is noted while its body still comes.
    public var checkpointBytes: Int64 = 64 << 20
    public var checkpointInterval: Duration = .seconds(2)
    /// How long the request that joins parts waits for the file, which is put together beside it.
    public var assemblyPatience: Duration = .seconds(1)
    /// How long complete waits for verification before it answers `202`.
    public var verificationPatience: Duration = .seconds(5)
    public var blobGracePeriod: Duration = .seconds(3600)
    public var idempotencyLifetime: Duration = .seconds(24 * 3600)
    public var taskRetention: Duration = .seconds(30 * 24 * 3600)
    public var auditRetention: Duration = .seconds(400 * 24 * 3600)
    public var eventRetention: Duration = .seconds(7 * 24 * 3600)
    public var notificationRetention: Duration = .seconds(90 * 24 * 3600)
    /// nil: no limit.
    public var defaultQuota: Int64? = 100 << 30
    public var legacyUploadEvents = false
    /// The most bytes gathered before they are handed to a writing thread; each piece costs two thread switches.
    public var writePiece = 1 << 20
    /// Bytes that all bodies together may gather.
    public var writeMemory = 8 << 20

    public init() {}
}
