// SPDX-License-Identifier: MIT
import CBitnet
import Foundation

/// Tokens to text as they come, never splitting a character. May be used by any task.
public final class TokenDecoder: @unchecked Sendable {  // the lock guards the pointer's object
  private let model: Model
  private let pointer: OpaquePointer
  private let lock = NSLock()

  /// With `.special`, control tokens are written out.
  public init(_ model: Model, _ options: TextOptions = []) throws {
    var decoder: OpaquePointer?
    try check(bitnet_decoder_create(model.pointer, options.rawValue, &decoder))
    self.model = model
    pointer = decoder!
  }

  deinit { bitnet_decoder_free(pointer) }

  /// The text that the token completes, which may be empty.
  public func push(_ token: Token) throws -> String { try take { bitnet_decoder_push(pointer, token, $0, $1) } }

  /// What is left; the decoder then starts over.
  public func finish() throws -> String { try take { bitnet_decoder_finish(pointer, $0, $1) } }

  private func take(
    _ next: (UnsafeMutablePointer<UnsafePointer<CChar>?>, UnsafeMutablePointer<Int>) -> bitnet_status
  ) throws -> String {
    lock.lock()
    defer { lock.unlock() }
    var text: UnsafePointer<CChar>?
    var length = 0
    try check(next(&text, &length))
    return String(decoding: UnsafeRawBufferPointer(start: text, count: length), as: UTF8.self)
  }
}
