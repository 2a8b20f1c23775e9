import DriveClient
import DriveModel
import Foundation

/// The line that tells a person how a transfer goes, written over itself on standard error.
struct ProgressLine {
    private let isShown: Bool
    private let name: String
    private var isDrawn = false

    init(name: String, console: Console) {
        self.name = name.forTerminal
        isShown = console.showsProgress
    }

    mutating func show(_ update: UploadUpdate) {
        guard isShown else { return }
        isDrawn = true
        let line = Self.text(update, name: name, width: Self.terminalWidth())
        StandardStream.progress("\r\(line)\u{1B}[K")
    }

    /// Wipes the line, so that what is printed next stands alone.
    mutating func clear() {
        guard isDrawn else { return }
        isDrawn = false
        StandardStream.progress("\r\u{1B}[K")
    }

    /// The line's text, cut to the terminal's width.
    static func text(_ update: UploadUpdate, name: String, width: Int) -> String {
        let facts = facts(update)
        let room = max(8, width - facts.count - 3)
        let shown = name.count <= room ? name : "…" + name.suffix(room - 1)
        return String("\(shown)  \(facts)".prefix(max(20, width - 1)))
    }

    private static func facts(_ update: UploadUpdate) -> String {
        let progress = update.progress
        let amount = "\(Int(progress.percent)) %  \(Quantity.text(bytes: progress.bytes)) of \(Quantity.text(bytes: progress.total))"
        switch update.status {
        case .hashing: return "reading  \(amount)"
        case .verifying(let percent): return "all sent; the server verifies: \(Int(percent)) %"
        case .retrying(let error, let delay): return "\(amount)  \(cause(error)); next try in \(delay.components.seconds + 1) s"
        default:
            var text = amount
            if let speed = progress.bytesPerSecond { text += "  \(Quantity.text(bytes: Int64(speed)))/s" }
            if let remaining = progress.remaining { text += "  \(Quantity.text(remaining)) left" }
            return text
        }
    }

    private static func cause(_ error: DriveClientError) -> String {
        error.serverReply.map(\.code) ?? "no network"
    }

    private static func terminalWidth() -> Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }
}
