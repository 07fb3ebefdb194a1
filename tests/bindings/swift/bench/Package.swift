// swift-tools-version:5.9
// SPDX-License-Identifier: MIT
import PackageDescription

let package = Package(
  name: "bench",
  platforms: [.macOS("13.3")],
  dependencies: [.package(name: "Bitnet", path: "../../../../bindings/swift")],
  targets: [.executableTarget(name: "bench", dependencies: ["Bitnet"], path: ".", sources: ["main.swift"])]
)
