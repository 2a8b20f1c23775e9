// swift-tools-version:6.2
import PackageDescription

/// Settings of every Swift target: the language mode is Swift 6 by the tools version.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "drive",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "drive", targets: ["drive"]),
        .library(name: "DriveClient", targets: ["DriveClient"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.14.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.34.1"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.2"),
        .package(url: "https://github.com/apple/swift-protobuf.git", from: "1.38.0", traits: []),
        .package(url: "https://github.com/groue/GRDB.swift.git", from: "7.10.0"),
        .package(url: "https://github.com/grpc/grpc-swift-2.git", from: "2.4.0"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport.git", from: "2.9.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.0", traits: []),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.0"),
        .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(url: "https://github.com/vapor/jwt-kit.git", from: "5.7.0"),
    ],
    targets: [
        // C libraries of the distribution, and the few system calls Swift does not see.
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLibZ", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CDriveSystem"),

        .target(
            name: "DriveModel",
            swiftSettings: strict
        ),
        .target(
            name: "DriveDatabase",
            dependencies: [
                "DriveModel", "CLibPQ",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "DriveCrypto",
            dependencies: ["DriveModel", "CLibCrypto", "CLibZ", "CDriveSystem"],
            swiftSettings: strict
        ),
        // Apart from what brings a zlib of its own.
        .target(name: "DriveCompression", dependencies: ["CLibZ"], swiftSettings: strict),
        .target(
            name: "DriveStorage",
            dependencies: [
                "DriveModel", "DriveCrypto", "CDriveSystem",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "DriveEvents",
            dependencies: [
                "DriveModel", "DriveDatabase",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "DriveTasks",
            dependencies: ["DriveModel", "DriveCrypto", "DriveDatabase", "DriveEvents", .product(name: "Logging", package: "swift-log")],
            swiftSettings: strict
        ),
        .target(
            name: "DriveUploads",
            dependencies: [
                "DriveModel", "DriveDatabase", "DriveCrypto", "DriveStorage", "DriveEvents", "DriveTasks",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        // Apart, so that nothing else waits for gRPC to be compiled.
        .target(
            name: "DriveRing",
            dependencies: [
                "DriveModel", "DriveEvents",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "NIOCertificateReloading", package: "swift-nio-extras"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            exclude: ["ring.proto"],
            swiftSettings: strict
        ),
        .target(
            name: "DriveServer",
            dependencies: [
                "DriveModel", "DriveDatabase", "DriveCompression", "DriveCrypto", "DriveStorage", "DriveEvents", "DriveRing", "DriveTasks",
                "DriveUploads",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "JWTKit", package: "jwt-kit"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "DriveClient",
            dependencies: [
                "DriveModel", "DriveCrypto",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "drive",
            dependencies: [
                "DriveModel", "DriveDatabase", "DriveStorage", "DriveTasks", "DriveUploads", "DriveServer", "DriveClient",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),

        // Measures the task engine itself; `make bench` builds and runs it.
        .executableTarget(
            name: "task-benchmark",
            dependencies: [
                "DriveModel", "DriveCrypto", "DriveDatabase", "DriveEvents", "DriveStorage", "DriveTasks", "DriveUploads",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),

        // What several test targets share.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        // What those of them share that run over a database; apart, so that the others go without one.
        .target(
            name: "EngineTestSupport",
            dependencies: ["DriveModel", "DriveDatabase", .product(name: "Logging", package: "swift-log")],
            path: "Tests/EngineTestSupport",
            swiftSettings: strict
        ),
        .testTarget(name: "DriveModelTests", dependencies: ["DriveModel", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "DriveDatabaseTests",
            dependencies: ["DriveModel", "DriveDatabase", "EngineTestSupport", .product(name: "Logging", package: "swift-log")],
            swiftSettings: strict
        ),
        .testTarget(
            name: "DriveStorageTests",
            dependencies: [
                "DriveModel", "DriveCrypto", "DriveStorage", "TestSupport", .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "DriveEventsTests",
            dependencies: [
                "DriveModel", "DriveDatabase", "DriveEvents", "TestSupport", "EngineTestSupport",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "DriveTasksTests",
            dependencies: [
                "DriveModel", "DriveDatabase", "DriveEvents", "DriveTasks", "TestSupport", "EngineTestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "DriveUploadsTests",
            dependencies: [
                "DriveModel", "DriveCrypto", "DriveDatabase", "DriveStorage", "DriveEvents", "DriveTasks", "DriveUploads", "TestSupport",
                "EngineTestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "DriveRingTests",
            dependencies: [
                "DriveModel", "DriveEvents", "DriveRing",
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "DriveServerTests",
            dependencies: [
                "DriveModel", "DriveCompression", "DriveCrypto", "DriveDatabase", "DriveEvents", "DriveTasks", "DriveServer", "TestSupport",
                "EngineTestSupport",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "JWTKit", package: "jwt-kit"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "DriveClientTests",
            dependencies: [
                "DriveClient", "DriveModel", "DriveCrypto",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "drive", "DriveModel", "DriveCrypto", "TestSupport",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
    ]
)
