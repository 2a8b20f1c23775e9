import Foundation

/// posix_spawn(3) and pipes for `ChildProcess`.
enum ChildSpawn {
    private typealias AddPath = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>) -> Int32
    private typealias AddDescriptor = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32

    /// Starts a program; returns its id.
    /// - Parameters:
    ///   - input: the descriptor that becomes its standard input; not one of the first three.
    ///   - errors: the one that becomes its standard error; not one of the first three.
    static func start(
        _ command: [String], environment: [String: String], input: Int32, errors: Int32
    ) throws(ChildProcess.Failure) -> pid_t {
        // Both have been in glibc since 2.34 and are hidden from Swift; the casts are their declarations in spawn.h.
        guard let changeFolder = dlsym(nil, "posix_spawn_file_actions_addchdir_np"),
            let closeFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np")
        else { throw ChildProcess.Failure(code: ENOSYS) }
        let addFolder = unsafeBitCast(changeFolder, to: AddPath.self)
        let addCloseFrom = unsafeBitCast(closeFrom, to: AddDescriptor.self)

        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        try check(posix_spawn_file_actions_adddup2(&actions, input, 0))
        try check(posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0))
        try check(posix_spawn_file_actions_adddup2(&actions, errors, 2))
        try check(addCloseFrom(&actions, 3))
        try check(addFolder(&actions, "/"))
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var id: pid_t = 0
        try check(
            withCStrings(command) { arguments in
                withCStrings(environment.map { "\($0.key)=\($0.value)" }) { variables in
                    posix_spawn(&id, command.first ?? "", &actions, &attributes, arguments, variables)
                }
            })
        return id
    }

    /// A pipe above the first three descriptors, which a server may have been started without.
    static func makePipe() throws(ChildProcess.Failure) -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw ChildProcess.Failure(code: errno) }
        for index in ends.indices {
            // Between the two calls a child of somebody else could inherit it; ours close what they inherit.
            guard ends[index] < 3 else {
                _ = fcntl(ends[index], F_SETFD, FD_CLOEXEC)
                continue
            }
            let moved = fcntl(ends[index], F_DUPFD_CLOEXEC, 3)
            let code = errno
            close(ends[index])
            ends[index] = moved
            guard moved >= 0 else {
                for end in ends where end >= 0 { close(end) }
                throw ChildProcess.Failure(code: code)
            }
        }
        return (ends[0], ends[1])
    }

    private static func check(_ result: Int32) throws(ChildProcess.Failure) {
        if result != 0 { throw ChildProcess.Failure(code: result) }
    }

    private static func withCStrings<Result>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
        let pointers = texts.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
    }
}
