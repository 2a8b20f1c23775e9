import DriveModel
import Foundation

/// Times as a person reads them: of today the time alone, in the zone of this machine (`TZ`).
struct LocalTime: Sendable {
    var now: @Sendable () -> Timestamp = Surroundings.system.now

    /// As wide as a time of today.
    static let unknown = String(repeating: " ", count: 8)

    /// `17:14:00`; of another day `2026-11-20 17:14:00`.
    func text(_ time: Timestamp) -> String {
        let (day, clock) = Self.parts(time)
        return day == Self.parts(now()).day ? clock : "\(day) \(clock)"
    }

    private static func parts(_ time: Timestamp) -> (day: String, clock: String) {
        // Foundation's zones do not know every TZ that POSIX does, `EST5` say.
        var (seconds, local) = (time_t(time.seconds), tm())
        let offset = localtime_r(&seconds, &local) == nil ? 0 : local.tm_gmtoff
        let text = (time + .seconds(offset)).description
        return (String(text.prefix(10)), String(text.prefix(19).suffix(8)))
    }
}
