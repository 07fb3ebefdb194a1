// SPDX-License-Identifier: MIT
import CBitnet
import Foundation

/// A turn of a conversation.
public struct Message: Sendable, Equatable {
  public var role: String
  public var content: String

  public init(role: String, content: String) {
    self.role = role
    self.content = content
  }
  public static func system(_ content: String) -> Message { Message(role: "system", content: content) }
  public static func user(_ content: String) -> Message { Message(role: "user", content: content) }
  public static func assistant(_ content: String) -> Message { Message(role: "assistant", content: content) }
}

/// Weights and vocabulary, shared by any number of sessions and tasks, which keep it alive.
public final class Model: @unchecked Sendable {  // a bitnet_model may be used by any thread
  let pointer: OpaquePointer
  private let memory: UnsafeMutableRawPointer?
  private let logger: Logger?

  /// Opens a `.bitnet` file, which is mapped and used as it lies, or a GGUF file, which is repacked in memory.
  public init(path: String, _ options: OpenOptions = OpenOptions(), progress: Progress? = nil) throws {
    let path = try cString(path, "the path")
    memory = nil
    logger = options.log.map(Logger.init)
    pointer = try Self.open(options, logger, progress) { options, model in
      path.withUnsafeBufferPointer { bitnet_open($0.baseAddress, options, model) }
    }
  }

  /// Opens what is in memory, of which it keeps a copy.
  public init(data: Data, _ options: OpenOptions = OpenOptions(), progress: Progress? = nil) throws {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(data.count, 1), alignment: 64)
    data.copyBytes(to: memory.assumingMemoryBound(to: UInt8.self), count: data.count)
    logger = options.log.map(Logger.init)
    do {
      pointer = try Self.open(options, logger, progress) { bitnet_open_memory(memory, data.count, $0, $1) }
    } catch {
      memory.deallocate()
      throw error
    }
    self.memory = memory
  }

  deinit {
    bitnet_close(pointer)
    memory?.deallocate()
  }

  private static func open(
    _ options: OpenOptions, _ logger: Logger?, _ progress: Progress?,
    _ call: (UnsafePointer<bitnet_open_options>, UnsafeMutablePointer<OpaquePointer?>) -> bitnet_status
  ) throws -> OpaquePointer {
    var model: OpaquePointer?
    try options.withC { options in
      logger?.listen(&options.log, &options.log_user)
      try reporting(to: progress) {
        options.progress = $0
        options.progress_user = $1
        try check(call(&options, &model))
      }
    }
    return model!
  }

  /// Names, sizes and special tokens.
  public var info: ModelInfo {
    var info = bitnet_model_info()
    info.size = MemoryLayout<bitnet_model_info>.size
    _ = bitnet_model_get_info(pointer, &info)  // cannot fail with these arguments
    return ModelInfo(info)
  }

  /// Free-form entries of the file, in its order.
  public var metadata: [(key: String, value: String)] {
    var entries: [(key: String, value: String)] = []
    var key: UnsafePointer<CChar>?
    var value: UnsafePointer<CChar>?
    while bitnet_model_metadata(pointer, entries.count, &key, &value) == BITNET_OK {
      entries.append((String(cString: key!), String(cString: value!)))
    }
    return entries
  }

  /// The tokens of a text.
  public func tokenize(_ text: String, _ options: TextOptions = []) throws -> [Token] {
    var text = text
    return try text.withUTF8 { bytes in
      try bytes.withMemoryRebound(to: CChar.self) { bytes in
        try filled(guess: bytes.count / 2 + 16, Token(0)) {
          bitnet_tokenize(pointer, bytes.baseAddress, bytes.count, options.rawValue, $0, $1, &$2)
        }
      }
    }
  }

  /// The text of tokens. Characters cut in half become U+FFFD.
  public func detokenize(_ tokens: [Token], _ options: TextOptions = []) throws -> String {
    try tokens.withPointer { tokens, count in
      text(
        try filled(guess: count * 8 + 16, CChar(0)) {
          bitnet_detokenize(pointer, tokens, count, options.rawValue, $0, $1, &$2)
        })
    }
  }

  /// Whether no plain text is written by the token.
  public func isControl(_ token: Token) -> Bool { bitnet_token_is_control(pointer, token) != 0 }
  /// Whether the token ends a generation.
  public func isEnd(_ token: Token) -> Bool { bitnet_token_is_end(pointer, token) != 0 }

  /// The tokens of a conversation as the model's chat template writes it, for `Session.generate(tokens:_:)` with `whole`; with
  /// `reply`, up to where the assistant's answer begins. Control tokens that contents spell out, such as "<|eot_id|>", are
  /// plain text, unless you `trust` them: never for text from strangers, who could then speak for others.
  public func chatTokenize(_ messages: [Message], reply: Bool = true, trust: Bool = false) throws -> [Token] {
    let flags = (reply ? UInt32(BITNET_CHAT_REPLY) : 0) | (trust ? UInt32(BITNET_CHAT_TRUST) : 0)
    return try Self.withConversation(messages) { messages, count in
      try filled(guess: 256, Token(0)) { bitnet_chat_tokenize(pointer, messages, count, flags, $0, $1, &$2) }
    }
  }

  /// The same as text, to look at or to store. Text does not tell the template's control tokens from contents that spell
  /// one: to compute with it, use `chatTokenize`.
  public func chatPrompt(_ messages: [Message], reply: Bool = true) throws -> String {
    let flags = reply ? UInt32(BITNET_CHAT_REPLY) : 0
    return try Self.withConversation(messages) { messages, count in
      text(try filled(guess: 1024, CChar(0)) { bitnet_chat_format(pointer, messages, count, flags, $0, $1, &$2) })
    }
  }

  /// Messages as C takes them. Contents may hold zero bytes.
  static func withConversation<R>(
    _ messages: [Message], _ body: (UnsafePointer<bitnet_message>?, Int) throws -> R
  ) throws -> R {
    var texts: [ContiguousArray<CChar>] = []
    for (index, message) in messages.enumerated() {
      texts.append(try cString(message.role, "the role of message \(index)"))
      texts.append(message.content.utf8CString)
    }
    return try withPointers(to: texts) { pointers in
      var cMessages: [bitnet_message] = []
      for role in stride(from: 0, to: pointers.count, by: 2) {
        let length = texts[role + 1].count - 1
        cMessages.append(
          bitnet_message(
            size: MemoryLayout<bitnet_message>.size, role: pointers[role], content: pointers[role + 1], length: length))
      }
      return try cMessages.withPointer(body)
    }
  }

  /// The embeddings of texts, which are computed together: texts whose meaning is alike have embeddings with a large dot
  /// product. The format of the options must be `float`. Cancelling the task stops it.
  public func embed(_ texts: [String], _ options: EmbedOptions = EmbedOptions()) throws -> [[Float]] {
    try embed(texts, options, engine: nil)
  }

  /// The same in any format, as the bytes of each embedding; floats are in the order of bytes of this machine.
  public func embedBytes(_ texts: [String], _ options: EmbedOptions = EmbedOptions()) throws -> [Data] {
    try embedBytes(texts, options, engine: nil)
  }

  func embed(_ texts: [String], _ options: EmbedOptions, engine: OpaquePointer?) throws -> [[Float]] {
    if options.format != .float {
      throw BitnetError(status: .argument, message: "these embeddings are not of floats")
    }
    return try embedBytes(texts, options, engine: engine).map { bytes in
      [Float](unsafeUninitializedCapacity: bytes.count / 4) { floats, count in
        count = bytes.copyBytes(to: floats) / 4
      }
    }
  }

  func embedBytes(_ texts: [String], _ options: EmbedOptions, engine: OpaquePointer?) throws -> [Data] {
    let tokens = try texts.map { try tokenize($0, .bosEos) }
    var size = 0
    var bytes: [UInt8] = []
    do {
      try options.withC { options in
        options.engine = engine
        options.abort = { _ in withUnsafeCurrentTask { $0?.isCancelled ?? false } ? 1 : 0 }
        try check(bitnet_embed_size(pointer, &options, &size))
        bytes = [UInt8](repeating: 0, count: size * texts.count)
        try tokens.flatMap { $0 }.withPointer { all, _ in
          try tokens.map { $0.count }.withPointer { counts, count in
            try check(bitnet_embed_tokens(pointer, all, counts, count, &options, &bytes, bytes.count))
          }
        }
      }
    } catch let error as BitnetError where error.status == .cancelled {
      throw CancellationError()
    }
    return (0..<texts.count).map { Data(bytes[$0 * size..<($0 + 1) * size]) }
  }

  /// What computes for the sessions that it makes, in place of the model's own engine; with a pool, by its threads.
  public func engine(_ options: EngineOptions = EngineOptions(), pool: Pool? = nil) throws -> Engine {
    var engine: OpaquePointer?
    try options.withC { options in
      options.pool = pool?.pointer
      try check(bitnet_engine_create(pointer, &options, &engine))
    }
    return Engine(self, engine!)
  }

  /// The bytes that such an engine takes besides the model and its sessions.
  public func engineMemory(_ options: EngineOptions = EngineOptions()) throws -> UInt64 {
    var bytes: UInt64 = 0
    try options.withC { try check(bitnet_engine_memory(pointer, &$0, &bytes)) }
    return bytes
  }

  /// Has the model's own engine give memory back that it does not need at the moment: what it keeps of prompts, whose bytes
  /// are returned, and its work space. For memory warnings of the system.
  @discardableResult
  public func trim() throws -> UInt64 { try trim(engine: nil) }

  func trim(engine: OpaquePointer?) throws -> UInt64 {
    var bytes: UInt64 = 0
    try check(bitnet_engine_trim(pointer, engine, &bytes))
    return bytes
  }

  /// An empty session. The model's own engine computes for it, as for all that are made here.
  public func session(_ options: SessionOptions = SessionOptions()) throws -> Session {
    try session(options, engine: nil)
  }

  func session(_ options: SessionOptions, engine: OpaquePointer?) throws -> Session {
    var session: OpaquePointer?
    try options.withC { options in
      options.engine = engine
      try check(bitnet_session_create(pointer, &options, &session))
    }
    return Session(self, session!)
  }

  /// The bytes that such a session takes besides the model and its engine.
  public func sessionMemory(_ options: SessionOptions = SessionOptions()) throws -> UInt64 {
    var bytes: UInt64 = 0
    try options.withC { try check(bitnet_session_memory(pointer, &$0, &bytes)) }
    return bytes
  }
}
