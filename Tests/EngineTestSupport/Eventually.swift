/// What a test waited for did not come.
public struct TimedOut: Error {
    public init() {}
}

/// Asks again and again, where no signal can be had; the bound is only reached where the test fails. Throws `TimedOut` there.
public func eventually(within limit: Duration = .seconds(10), _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < end else { throw TimedOut() }
        try await Task.sleep(for: .milliseconds(2))
    }
}
