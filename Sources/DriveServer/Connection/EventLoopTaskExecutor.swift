import NIOCore

/// Runs a connection's task on the connection's own event loop (SE-0417).
///
/// The default executor would wake a thread of the cooperative pool for every part of a body, and wake the event loop
/// again to ask for the next: two system calls and two context switches a part. Here both are a function call. Nothing
/// a handler does between two suspensions blocks or takes long; storage and the database have threads of their own.
final class EventLoopTaskExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
