/// Time since some fixed moment, which no clock change moves: for the ages of what is held in memory.
package struct MonotonicTime: Sendable {
    package var now: @Sendable () -> Duration

    package init(now: @escaping @Sendable () -> Duration) {
        self.now = now
    }

    /// The machine's clock, which goes on while the machine sleeps.
    package static let system: MonotonicTime = {
        let start = ContinuousClock.now
        return MonotonicTime(now: { start.duration(to: .now) })
    }()
}
