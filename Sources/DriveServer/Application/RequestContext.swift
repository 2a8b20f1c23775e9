import Hummingbird
import Logging
import NIOCore

/// What a request carries through the router.
struct DriveRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The peer of the connection, nil in tests without one.
    let peer: SocketAddress?

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        peer = source.channel.remoteAddress
    }

    /// Bodies of JSON alone are collected; all others are streamed.
    var maxUploadSize: Int { Call.maximumJSONBytes }
}
