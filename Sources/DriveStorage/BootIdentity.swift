import Foundation

/// Which boot of the machine this is. The page cache outlives a killed process, not a boot: bytes that were written
/// under another boot id and never flushed are checked before they are trusted.
public enum BootIdentity {
    /// The kernel's random boot id; where it has none, one that never repeats, so that bytes are always checked.
    public static func current() -> String {
        guard let text = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8) else {
            return "unknown-\(UUID().uuidString)"
        }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
