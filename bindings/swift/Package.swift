// swift-tools-version:5.9
// SPDX-License-Identifier: MIT
import Foundation
import PackageDescription

// On Apple's systems make-xcframework puts the C library beside this file; elsewhere the installed one is found by
// pkg-config.
let framework = "CBitnet.xcframework"
let hasFramework = FileManager.default.fileExists(atPath: Context.packageDirectory + "/" + framework)

let package = Package(
  name: "Bitnet",
  platforms: [.iOS("16.4"), .macOS("13.3")],
  products: [.library(name: "Bitnet", targets: ["Bitnet"])],
  targets: [
    hasFramework
      ? .binaryTarget(name: "CBitnet", path: framework)
      : .systemLibrary(name: "CBitnet", pkgConfig: "bitnet"),
    .target(name: "Bitnet", dependencies: ["CBitnet"], swiftSettings: [.enableExperimentalFeature("StrictConcurrency")]),
    .testTarget(name: "BitnetTests", dependencies: ["Bitnet"]),
  ]
)
