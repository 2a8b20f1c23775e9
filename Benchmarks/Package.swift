// swift-tools-version:6.2
import PackageDescription

// The two C programs of `make bench`, apart from the server's package so that neither waits for the other's build.
let package = Package(
    name: "benchmarks",
    targets: [
        .executableTarget(name: "floor", linkerSettings: [.linkedLibrary("crypto")]),
        .executableTarget(name: "load"),
    ]
)
