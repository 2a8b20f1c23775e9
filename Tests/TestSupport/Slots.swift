/// Lets a few in at once: on two processors more at a time would starve each other's clocks, and the database's connections.
public actor Slots {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    public init(_ count: Int) {
        free = count
    }

    /// Runs `body` when there is room for it.
    nonisolated(nonsending) public func with<Result>(_ body: () async throws -> Result) async rethrows -> Result {
        await enter()
        let result: Result
        do {
            result = try await body()
        } catch {
            await leave()
            throw error
        }
        await leave()
        return result
    }

    private func enter() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    private func leave() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
