internal import GRPCCore
internal import SwiftProtobuf

// What gRPC needs to know of the two services. It is written here, and not generated: the generator's package would have every
// build of Drive compile a C++ compiler of protocol buffers.

extension ServiceDescriptor {
    static let ring = ServiceDescriptor(fullyQualifiedService: "proto.RingService")
    static let ringHandler = ServiceDescriptor(fullyQualifiedService: "proto.RingHandlerService")

    func unary(_ method: String) -> MethodDescriptor { MethodDescriptor(service: self, method: method, type: .unary) }
}

struct MessageWriter<Message: SwiftProtobuf.Message>: MessageSerializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: Message) throws -> Bytes {
        do {
            return Bytes(try message.serializedBytes() as [UInt8])
        } catch {
            throw RPCError(code: .internalError, message: "The message cannot be written.", cause: error)
        }
    }
}

struct MessageReader<Message: SwiftProtobuf.Message>: MessageDeserializer {
    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> Message {
        do {
            return try bytes.withUnsafeBytes { try Message(serializedBytes: Array($0)) }
        } catch {
            throw RPCError(code: .invalidArgument, message: "The message is none of its type: \(Message.protoMessageName).", cause: error)
        }
    }
}

extension RPCRouter {
    /// Answers a method with one message for one message, which comes within a time.
    mutating func answer<Request: SwiftProtobuf.Message, Reply: SwiftProtobuf.Message>(
        _ method: MethodDescriptor, within patience: Duration,
        _ body: @escaping @Sendable (Request, RingCaller) async throws -> Reply
    ) {
        registerHandler(forMethod: method, deserializer: MessageReader<Request>(), serializer: MessageWriter<Reply>()) { request, context in
            let message = try await request.message(within: patience)
            return StreamingServerResponse(single: ServerResponse(message: try await body(message, RingCaller(context))))
        }
    }
}

extension GRPCClient {
    /// Calls a method that answers with nothing.
    func call<Request: SwiftProtobuf.Message>(
        _ method: MethodDescriptor, _ message: Request, metadata: Metadata, options: CallOptions
    ) async throws {
        try await unary(
            request: ClientRequest(message: message, metadata: metadata), descriptor: method, serializer: MessageWriter<Request>(),
            deserializer: MessageReader<Google_Protobuf_Empty>(), options: options
        ) { response in _ = try response.message }
    }
}

extension StreamingServerRequest {
    /// The one message of the request; a caller that begins and does not end it holds its place for so long at most.
    func message(within patience: Duration) async throws -> Message {
        try await withThrowingTaskGroup(of: Message.self) { group in
            group.addTask { try await ServerRequest(stream: self).message }
            group.addTask {
                try await Task.sleep(for: patience)
                throw RPCError(code: .deadlineExceeded, message: "The request did not come in time.")
            }
            defer { group.cancelAll() }
            guard let message = try await group.next() else { throw CancellationError() }
            return message
        }
    }
}
