import Dispatch
import Foundation
import Synchronization

/// Runs `body` so that the first Ctrl-C or SIGTERM cancels it, which gives it the time to stop cleanly; the second one ends the program.
func interruptible<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    let task = Task { try await body() }
    let count = Mutex(0)
    let sources = [SIGINT, SIGTERM].map { number in
        // The source hears the signal only where its default action is off.
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        return (number, source)
    }
    let hear: @Sendable () -> Void = {
        let heard = count.withLock { count in
            count += 1
            return count
        }
        if heard == 1 { task.cancel() } else { _exit(ExitStatus.interrupted.rawValue) }
    }
    for (_, source) in sources {
        source.setEventHandler(handler: hear)
        source.activate()
    }
    defer {
        for (number, source) in sources {
            source.cancel()
            signal(number, SIG_DFL)
        }
    }
    // Writing to a pipe that nobody reads is an error to report, not an end without a word.
    signal(SIGPIPE, SIG_IGN)
    return try await task.value
}
