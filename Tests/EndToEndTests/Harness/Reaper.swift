import Foundation
import Synchronization

/// Ends what a test run leaves behind, however the run itself ends.
///
/// A small shell reads from a pipe which processes and folders there are. The pipe closes with the test process, even
/// where that is killed or traps; then the shell kills the processes that are left, by their ids, and removes the folders.
final class Reaper: Sendable {
    static let shared = Reaper()

    private static let script = """
        trap '' INT TERM HUP
        pids=" "; folders=""
        while IFS= read -r line; do
            value=${line#?}
            case $line in
                +*) pids="$pids$value " ;;
                -*) pids=${pids%" $value "*}" "${pids##*" $value "} ;;
                /*) folders="$folders$line
        " ;;
            esac
        done
        for pid in $pids; do kill -s KILL -- "-$pid" 2>/dev/null; done
        sleep 0.2
        printf '%s' "$folders" | while IFS= read -r folder; do rm -rf -- "$folder"; done
        """

    private let pipe: Mutex<Int32>

    private init() {
        guard let ends = Spawn.makePipe() else {
            pipe = Mutex(-1)
            return
        }
        // In a group of its own, so that Ctrl-C at the test run does not end it first.
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        _ = try? Spawn.start(
            ["sh", "-c", Self.script], environment: ["PATH": path], input: ends.reading, output: nil, errorPath: "/dev/null")
        close(ends.reading)
        pipe = Mutex(ends.writing)
    }

    func watch(_ pid: pid_t) { tell("+\(pid)") }
    func forget(_ pid: pid_t) { tell("-\(pid)") }
    /// An absolute path, removed at the end.
    func remove(folder: String) { tell(folder) }

    private func tell(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        pipe.withLock { pipe in _ = write(pipe, bytes, bytes.count) }
    }
}
