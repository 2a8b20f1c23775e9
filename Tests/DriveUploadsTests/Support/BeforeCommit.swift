import EngineTestSupport

/// The moment in `complete` between the rename and the transaction that makes the file, held until `pass`.
///
/// `complete` writes twice: first the blob's intent, then, when the bytes stand at the blob's path, all the rest.
struct BeforeCommit: Sendable {
    private let database: UnreliableDatabase
    private let intent = Gate()
    private let goOn = Gate()
    private let renamed = Gate()
    private let commit = Gate()

    /// To be made when the next write is that of `complete`.
    init(_ database: UnreliableDatabase) {
        self.database = database
        database.hold(reached: intent, until: goOn)
    }

    func reached() async {
        await intent.wait()
        database.hold(reached: renamed, until: commit)
        goOn.open()
        await renamed.wait()
    }

    func pass() {
        goOn.open()
        commit.open()
    }
}
