extension Task {
    /// Awaits this task's end, however it ends, for at most `patience`. False where it goes on, or where who awaits it is cancelled;
    /// the task itself is left alone.
    func ends(within patience: Duration) async -> Bool {
        let (ends, continuation) = AsyncStream.makeStream(of: Void.self)
        let waiting = Task<Void, Never> {
            _ = await result
            continuation.yield()
            continuation.finish()
        }
        let timer = Task<Void, Never> {
            try? await Task<Never, Never>.sleep(for: patience)
            continuation.finish()
        }
        defer {
            waiting.cancel()
            timer.cancel()
        }
        for await _ in ends { return true }
        return false
    }
}
