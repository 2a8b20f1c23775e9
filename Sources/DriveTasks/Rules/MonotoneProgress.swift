/// A task's progress in percent, 0...100, that never goes back.
public struct MonotoneProgress: Hashable, Sendable {
    /// The most that was reached.
    public private(set) var value: Double = 0

    /// Starts at a progress that was reached before, such as by an earlier attempt.
    public init(_ value: Double = 0) {
        advance(to: value)
    }

    /// Takes a new progress, as 0 or 100 where it lies outside them; returns whether it is an advance. A lower one, the same
    /// one, and what is not finite changes nothing.
    @discardableResult
    public mutating func advance(to progress: Double) -> Bool {
        guard progress.isFinite, min(progress, 100) > value else { return false }
        value = min(progress, 100)
        return true
    }
}
