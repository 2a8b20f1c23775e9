import Foundation
import Synchronization

/// posix_spawn(3) and pipes whose ends no other child inherits.
enum Spawn {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    // Swift sees no pipe2(2): between pipe and fcntl no child may start.
    private static let lock = Mutex(())

    /// Starts a program in a process group of its own and returns its id.
    /// - Parameters:
    ///   - input: the descriptor that becomes stdin; nil: empty.
    ///   - output: the one that becomes stdout; nil: dropped.
    ///   - errorPath: a file that stderr is appended to.
    static func start(
        _ command: [String], environment: [String: String], input: Int32?, output: Int32?, errorPath: String
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        if let output {
            posix_spawn_file_actions_adddup2(&actions, output, 1)
        } else {
            posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        }
        posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        // A test runner may have blocked or ignored signals that a server needs.
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        let program = command.first ?? ""
        var pid: pid_t = 0
        let result = lock.withLock { _ in
            withCStrings(command) { arguments in
                withCStrings(environment.map { "\($0.key)=\($0.value)" }) { variables in
                    posix_spawnp(&pid, program, &actions, &attributes, arguments, variables)
                }
            }
        }
        guard result == 0 else { throw Failure(description: "\(program) cannot be started: \(String(cString: strerror(result)))") }
        return pid
    }

    /// A pipe; nil where there are no descriptors left.
    static func makePipe() -> (reading: Int32, writing: Int32)? {
        lock.withLock { _ in
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { return nil }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            return (ends[0], ends[1])
        }
    }

    private static func withCStrings<Result>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
        let pointers = texts.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
    }
}
