// SPDX-License-Identifier: MIT
import CBitnet
import Foundation

/// How a conversation is held.
public struct ChatOptions: Sendable {
  /// Control tokens spelt out in contents are those tokens. Never for text from strangers.
  public var trust = false
  /// Where the model has no template, a conversation is plain text that it goes on with.
  public var plain = false
  /// What is done about a history that leaves too little room for a reply.
  public var fit = ChatFit.dropOldest
  /// Tokens of the context that a prompt leaves free for the reply; 0: the reply's `maxTokens`, or 256, but no more than a
  /// quarter of the context.
  public var reserve = 0

  public init(trust: Bool = false, plain: Bool = false, fit: ChatFit = .dropOldest, reserve: Int = 0) {
    self.trust = trust
    self.plain = plain
    self.fit = fit
    self.reserve = reserve
  }
}

/// The latest prompt of a chat, also one that was refused. Numbers are 0 before the first.
public struct ChatPrompt: Sendable, Equatable {
  /// How many messages were left out, and the first of them in the history as it was then.
  public let leftOut, leftOutFrom: Int
  /// Tokens that it has, and tokens of context that it and the room for the reply take.
  public let tokens, tokensNeeded: Int
}

/// A conversation, whose replies a session generates. What the session holds of a prompt is not evaluated again, and a reply
/// is the same whatever it holds. It may be used for other things between replies. While one task pulls a reply, others may
/// look at the history.
public final class Chat: @unchecked Sendable {  // a bitnet_chat may be used by any thread
  /// What generates the replies.
  public let session: Session
  private let pointer: OpaquePointer

  /// An empty one.
  public init(_ session: Session, _ options: ChatOptions = ChatOptions()) throws {
    var cOptions = bitnet_chat_options()
    cOptions.size = MemoryLayout<bitnet_chat_options>.size
    cOptions.flags =
      (options.trust ? UInt32(BITNET_CHAT_TRUST) : 0) | (options.plain ? UInt32(BITNET_CHAT_PLAIN) : 0)
    cOptions.fit = options.fit.toC
    cOptions.reserve = try count(options.reserve, "reserve")
    var chat: OpaquePointer?
    try session.look { try check(bitnet_chat_create($0, &cOptions, &chat)) }
    self.session = session
    pointer = chat!
  }

  deinit { bitnet_chat_free(pointer) }

  // ------------------------------------------------------------ the history

  /// A copy of the history.
  public var messages: [Message] {
    (0..<bitnet_chat_count(pointer)).compactMap { index in
      var message = bitnet_message()
      message.size = MemoryLayout<bitnet_message>.size
      guard bitnet_chat_message(pointer, index, &message) == BITNET_OK else { return nil }  // removed meanwhile
      let content = UnsafeRawBufferPointer(start: message.content, count: message.length)
      return Message(role: String(cString: message.role), content: String(decoding: content, as: UTF8.self))
    }
  }

  /// Puts a message at the end. Like every change of the history it ends a reply under way, whose text so far stays.
  public func add(_ message: Message) throws {
    try Model.withConversation([message]) { messages, _ in try check(bitnet_chat_add(pointer, messages)) }
  }

  /// Puts a message before message `index`.
  public func insert(_ message: Message, at index: Int) throws {
    let index = try count(index, "index")
    try Model.withConversation([message]) { messages, _ in
      try check(bitnet_chat_insert(pointer, Int(index), messages))
    }
  }

  /// Takes out messages from `index` on; by default all.
  public func remove(from index: Int, count n: Int? = nil) throws {
    let all = -1  // as C's SIZE_MAX comes to Swift
    try check(bitnet_chat_remove(pointer, Int(try count(index, "index")), try n.map { Int(try count($0, "count")) } ?? all))
  }

  // ------------------------------------------------------------ what is said

  /// The assistant's reply to the history, which has it as soon as the text has ended. What had been given out of one that is
  /// broken off stays.
  public func reply(_ options: GenerateOptions = GenerateOptions()) -> Generation {
    start(options, bitnet_chat_reply)
  }

  /// Another reply in place of the last message, which stays until the new one is there.
  public func regenerate(_ options: GenerateOptions = GenerateOptions()) -> Generation {
    start(options, bitnet_chat_regenerate)
  }

  /// Adds a message of the user, and gives the reply to it.
  public func send(_ text: String, _ options: GenerateOptions = GenerateOptions()) throws -> Generation {
    try add(.user(text))
    return reply(options)
  }

  private typealias Start = @Sendable (
    OpaquePointer?, UnsafePointer<bitnet_generate_options>?, UnsafeMutablePointer<OpaquePointer?>?
  ) -> bitnet_status

  private func start(_ options: GenerateOptions, _ start: @escaping Start) -> Generation {
    Generation(session) { [self] _ in
      try options.withC { options in
        var generation: OpaquePointer?
        try check(start(pointer, &options, &generation))
        return generation!
      }
    }
  }

  /// What the latest prompt was.
  public var prompt: ChatPrompt {
    var prompt = bitnet_chat_prompt()
    prompt.size = MemoryLayout<bitnet_chat_prompt>.size
    _ = bitnet_chat_get_prompt(pointer, &prompt)  // cannot fail with these arguments
    return ChatPrompt(
      leftOut: prompt.left_out, leftOutFrom: prompt.left_out_from, tokens: Int(prompt.tokens),
      tokensNeeded: Int(prompt.tokens_needed))
  }

  // ------------------------------------------------------------ another day

  /// Writes the history to a file, as JSON that other programs know: an object with "messages".
  public func save(path: String) throws {
    let path = try cString(path, "the path")
    try path.withUnsafeBufferPointer { try check(bitnet_chat_save(pointer, $0.baseAddress)) }
  }

  /// Reads back what `save` wrote, or any such file, in place of the history.
  public func load(path: String) throws {
    let path = try cString(path, "the path")
    try path.withUnsafeBufferPointer { try check(bitnet_chat_load(pointer, $0.baseAddress)) }
  }

  /// What `save(path:)` writes.
  public func save() throws -> Data {
    Data(try filled(guess: 1024, CChar(0)) { bitnet_chat_save_memory(pointer, $0, $1, &$2) }.map(UInt8.init(bitPattern:)))
  }

  /// Reads such JSON in place of the history.
  public func load(_ json: Data) throws {
    try json.map(CChar.init(bitPattern:)).withPointer { try check(bitnet_chat_load_memory(pointer, $0, $1)) }
  }
}
