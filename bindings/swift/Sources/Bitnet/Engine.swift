// SPDX-License-Identifier: MIT
import CBitnet
import Foundation

/// Threads that compute, which engines of several models may share: they take turns, a pass at a time. Engines keep it alive.
public final class Pool: @unchecked Sendable {  // C's object may be used by any thread
  let pointer: OpaquePointer

  public init(_ options: PoolOptions = PoolOptions()) throws {
    var pool: OpaquePointer?
    try options.withC { try check(bitnet_pool_create(&$0, &pool)) }
    pointer = pool!
  }

  deinit { bitnet_pool_free(pointer) }
}

/// Computes what its sessions ask for at the same time, in one pass over the weights. Made by `Model.engine()`, for programs
/// that want another one than the model's own. Sessions keep it alive.
public final class Engine: @unchecked Sendable {  // C's object may be used by any thread
  /// Of whose sessions it is.
  public let model: Model
  private let pointer: OpaquePointer

  init(_ model: Model, _ pointer: OpaquePointer) {
    self.model = model
    self.pointer = pointer
  }

  deinit { bitnet_engine_free(pointer) }

  /// `Model.embed` by this engine.
  public func embed(_ texts: [String], _ options: EmbedOptions = EmbedOptions()) throws -> [[Float]] {
    try model.embed(texts, options, engine: pointer)
  }

  /// `Model.embedBytes` by this engine.
  public func embedBytes(_ texts: [String], _ options: EmbedOptions = EmbedOptions()) throws -> [Data] {
    try model.embedBytes(texts, options, engine: pointer)
  }

  /// An empty session that this engine computes for.
  public func session(_ options: SessionOptions = SessionOptions()) throws -> Session {
    try model.session(options, engine: pointer)
  }

  /// Gives memory back that it does not need at the moment: as `Model.trim()`.
  @discardableResult
  public func trim() throws -> UInt64 { try model.trim(engine: pointer) }
}
