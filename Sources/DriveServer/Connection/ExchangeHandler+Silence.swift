import NIOCore
import NIOHTTP1

// A body that stands still: its reader is told by an empty buffer, so that it need not keep a clock of its own.
extension ExchangeHandler {
    /// A body faster than so many bytes in a period needs no word: its pieces are handed on as they fill.
    private static let fastEnough = 1 << 20

    /// Starts to look at the body of the current request once in every `period`, until it ends.
    func reportSilence(every period: Duration) {
        guard let exchange, !exchange.requestComplete, silenceTimer == nil else { return }
        lookAgain(in: TimeAmount(period), seen: exchange.receivedBytes, reported: exchange.receivedBytes)
    }

    func stopReportingSilence() {
        silenceTimer?.cancel()
        silenceTimer = nil
    }

    private func lookAgain(in period: TimeAmount, seen: Int, reported: Int) {
        guard let context else { return }
        silenceTimer = context.eventLoop.assumeIsolated().scheduleTask(in: period) {
            self.silenceTimer = nil
            guard let exchange = self.exchange, !exchange.requestComplete, !self.isClosing, let context = self.context else { return }
            let isSlow = exchange.receivedBytes - seen < Self.fastEnough
            let reports = isSlow && exchange.receivedBytes > reported
            if reports {
                context.fireChannelRead(Self.wrapInboundOut(.body(ByteBuffer())))
                context.fireChannelReadComplete()
            }
            self.lookAgain(in: period, seen: exchange.receivedBytes, reported: reports ? exchange.receivedBytes : reported)
        }
    }
}
