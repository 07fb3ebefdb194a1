// SPDX-License-Identifier: MIT
import CBitnet
import Foundation

/// What a call of the library failed with. A cancelled task gets a `CancellationError` instead.
public struct BitnetError: LocalizedError, Equatable {
  public let status: Status
  /// What was wrong, where, and what to do about it.
  public let message: String
  public var errorDescription: String? { message }
}

/// Throws what a status stands for. The message is of this thread's latest failure.
func check(_ status: bitnet_status) throws {
  if status.rawValue < 0 {
    throw BitnetError(
      status: .init(rawValue: Int32(status.rawValue)) ?? .internal, message: String(cString: bitnet_last_error()))
  }
}

/// C counts without a sign.
func count(_ value: Int, _ name: String) throws -> UInt32 {
  guard let count = UInt32(exactly: value) else {
    throw BitnetError(status: .argument, message: "\(name) is out of range: \(value)")
  }
  return count
}

/// Text for a C function that knows its end by a zero byte.
func cString(_ text: String, _ name: String) throws -> ContiguousArray<CChar> {
  if text.utf8.contains(0) { throw BitnetError(status: .argument, message: "\(name) contains a zero byte") }
  return text.utf8CString
}

/// Calls `fill` with a buffer, and with a larger one if it was too small.
func filled<T>(guess: Int, _ zero: T, _ fill: (UnsafeMutablePointer<T>, Int, inout Int) -> bitnet_status) throws -> [T] {
  var capacity = max(guess, 1)
  while true {
    var needed = 0
    var status = BITNET_OK
    let items = [T](unsafeUninitializedCapacity: capacity) { buffer, initialized in
      buffer.initialize(repeating: zero)
      status = fill(buffer.baseAddress!, capacity, &needed)
      initialized = status == BITNET_OK ? needed : 0
    }
    if status != BITNET_ERROR_BUFFER {
      try check(status)
      return items
    }
    capacity = needed
  }
}

func text(_ utf8: [CChar]) -> String { String(decoding: utf8.map { UInt8(bitPattern: $0) }, as: UTF8.self) }

extension Array {
  /// The elements as C takes them: null where there are none.
  func withPointer<R>(_ body: (UnsafePointer<Element>?, Int) throws -> R) rethrows -> R {
    try withUnsafeBufferPointer { try body($0.baseAddress, $0.count) }
  }
}
