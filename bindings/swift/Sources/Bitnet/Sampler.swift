// SPDX-License-Identifier: MIT
import CBitnet
import Foundation

/// Turns logits into tokens, for one's own loop; holds the random state. May be used by any task.
public final class Sampler: @unchecked Sendable {  // the lock guards the pointer's object
  private let pointer: OpaquePointer
  private let lock = NSLock()

  public init(_ options: SamplerOptions = SamplerOptions()) throws {
    var sampler: OpaquePointer?
    try options.withCPointer { try check(bitnet_sampler_create($0, &sampler)) }
    pointer = sampler!
  }

  deinit { bitnet_sampler_free(pointer) }

  /// Draws a token from the session's last logits. It is not evaluated.
  public func sample(_ session: Session) throws -> Token {
    lock.lock()
    defer { lock.unlock() }
    return try session.sample(pointer)
  }

  /// Draws a token from logits of your own; the last of the recent tokens is the newest.
  public func sample(_ logits: [Float], recent: [Token] = []) throws -> Token {
    lock.lock()
    defer { lock.unlock() }
    var token: Token = -1
    try logits.withPointer { logits, count in
      try recent.withPointer { recent, recentCount in
        try check(bitnet_sample_logits(pointer, logits, count, recent, recentCount, &token))
      }
    }
    return token
  }

  /// Starts the random numbers over.
  public func reseed(_ seed: UInt64) {
    lock.lock()
    defer { lock.unlock() }
    bitnet_sampler_reseed(pointer, seed)
  }
}
