// SPDX-License-Identifier: MIT
// Made of include/bitnet.h by bindings/generate; do not edit.
import CBitnet

extension BitnetError {
  /// What kind of failure an error is about. More may come.
  public enum Status: Int32, Sendable {
    /// An argument or option is wrong: the caller's mistake.
    case argument = -1
    /// Out of memory.
    case memory = -2
    /// The file to read does not exist.
    case notFound = -3
    /// The system refused to open, read or write a file for another reason.
    case io = -4
    /// A file is damaged, truncated or not what it claims to be.
    case format = -5
    /// Well-formed, but this version cannot do it.
    case unsupported = -6
    /// The tokens do not fit the session's context.
    case context = -7
    /// A progress callback asked to stop.
    case cancelled = -8
    /// A saved state belongs to another model or kind of session.
    case mismatch = -10
    /// A mistake in the library: please report it.
    case `internal` = -11
    /// Another call uses the session.
    case busy = -12
  }
}

/// How much a line of the log matters.
public enum LogLevel: Sendable {
  /// Something to look at.
  case warning
  /// What was chosen.
  case info

  /// Nil of what is none of these.
  init?(_ c: bitnet_log_level) {
    switch c {
    case BITNET_LOG_WARNING: self = .warning
    case BITNET_LOG_INFO: self = .info
    default: return nil
    }
  }
}

/// How ternary weights with one scale for a matrix or a row are packed. Those with a scale for each group of columns
/// have a packing of their own, of 2 bits a weight.
public enum Packing: Sendable {
  /// `i2`; of a `.bitnet` file that is converted, as it is.
  case standard
  /// 2 bits a weight.
  case i2
  /// 1.6 bits a weight, five in a byte; the same results.
  case t5

  var toC: bitnet_packing {
    switch self {
    case .standard: return BITNET_PACKING_DEFAULT
    case .i2: return BITNET_PACKING_I2
    case .t5: return BITNET_PACKING_T5
    }
  }
}

/// How the matrices of a model that is not ternary are kept.
public enum Dense: Sendable {
  /// `f16`; of a `.bitnet` file that is converted, as it is.
  case standard
  /// Exact where F16 holds the published numbers; otherwise the log tells the largest error.
  case f16
  /// Exact, embedding and head included; twice the bytes.
  case f32
  /// 8 bits a weight with a scale per row: half the bytes, slightly other logits.
  case int8

  var toC: bitnet_dense {
    switch self {
    case .standard: return BITNET_DENSE_DEFAULT
    case .f16: return BITNET_DENSE_F16
    case .f32: return BITNET_DENSE_F32
    case .int8: return BITNET_DENSE_INT8
    }
  }
}

/// How activations that meet ternary weights are rounded.
public enum ActivationBits: Sendable {
  /// As the model was published.
  case standard
  /// To 8 bits with a step for a token, as BitNet b1.58 was trained.
  case int8
  /// To 16 bits with a step for each group of columns, for models that were published with activations in floating
  /// point.
  case int16

  var toC: bitnet_activation_bits {
    switch self {
    case .standard: return BITNET_ACTIVATION_BITS_DEFAULT
    case .int8: return BITNET_ACTIVATION_BITS_INT8
    case .int16: return BITNET_ACTIVATION_BITS_INT16
    }
  }
}

/// How the output head (hidden x vocabulary) is kept. A head of ternary weights stays as it is.
public enum Head: Sendable {
  /// `f16`. Of a file that is converted: `screened` for a vocabulary of 16384 tokens or more; a `.bitnet` file stays as
  /// it is.
  case standard
  /// As published.
  case f16
  /// 8 bits a weight with a scale per row: half the bytes, slightly other logits.
  case int8
  /// 6 bits a weight with a scale for every 16: 0.41 of the bytes, slightly other logits.
  case q6
  /// `f16` with a screen of 5 bits a weight beside it: the same logits and tokens; greedy and top-k sampling read
  /// little more than the screen, 0.34 of the bytes.
  case screened

  var toC: bitnet_head {
    switch self {
    case .standard: return BITNET_HEAD_DEFAULT
    case .f16: return BITNET_HEAD_F16
    case .int8: return BITNET_HEAD_INT8
    case .q6: return BITNET_HEAD_Q6
    case .screened: return BITNET_HEAD_SCREENED
    }
  }
}

/// The order of the weights in the I2_S tensors of a GGUF file. The file does not say it: it depends on the CPU and the
/// build of bitnet.cpp that wrote it.
public enum I2SLayout: Sendable {
  /// Found out from the weights; `x86`, with a warning, where they do not tell.
  case auto
  /// Written on x86: blocks of 128 weights of a row, bytes of weights 32 apart.
  case x86
  /// Written on Arm: blocks of 64 weights of a row, bytes of weights 16 apart.
  case arm
  /// Written on x86 by a build without ACT_PARALLEL: bytes of one column of four rows.
  case rows

  var toC: bitnet_i2s_layout {
    switch self {
    case .auto: return BITNET_I2S_AUTO
    case .x86: return BITNET_I2S_X86
    case .arm: return BITNET_I2S_ARM
    case .rows: return BITNET_I2S_ROWS
    }
  }
}

/// What the feed-forward network does with its gate.
public enum Activation: Sendable {
  /// As the file says or its architecture means; a file that leaves it open is refused.
  case standard
  /// Squared ReLU: BitNet b1.58 2B-4T.
  case relu2
  /// SiLU: 1bitLLM's bitnet_b1_58-large and -3B.
  case silu

  var toC: bitnet_activation {
    switch self {
    case .standard: return BITNET_ACTIVATION_DEFAULT
    case .relu2: return BITNET_ACTIVATION_RELU2
    case .silu: return BITNET_ACTIVATION_SILU
    }
  }
}

/// How text becomes tokens, and tokens text.
public struct TextOptions: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// To tokens: text such as "<|eot_id|>" becomes that control token. Never for text from strangers. To text: control
  /// tokens are written out; otherwise they are left out.
  public static let special = TextOptions(rawValue: UInt32(BITNET_TEXT_SPECIAL))
  /// To tokens: add the begin and end tokens that the model's vocabulary asks for, also where the text spells them with
  /// `special`: they are then there twice, as with Hugging Face. `Session.generate` does not repeat the begin token.
  public static let bosEos = TextOptions(rawValue: UInt32(BITNET_TEXT_BOS_EOS))
}

/// How a session stores the keys and values of its tokens. Each kind rounds in its own way: logits differ slightly.
public enum KV: Sendable {
  /// Half-precision floats, multiplied as floats: slower at depth.
  case f16
  /// Integers of 8 bits with a scale for each head and token: half the memory, quicker at depth, rounded more coarsely.
  case int8
  /// Integers of 16 bits with such scales: about the memory of `f16`, half its rounding error.
  case int16

  var toC: bitnet_kv {
    switch self {
    case .f16: return BITNET_KV_F16
    case .int8: return BITNET_KV_INT8
    case .int16: return BITNET_KV_INT16
    }
  }
}

/// Whose rows go into a pass first.
public enum Priority: Sendable {
  /// Somebody waits for it.
  case interactive
  /// Computed as far as passes stay within the time that the engine gives them, and in one of 20 at least.
  case background

  var toC: bitnet_priority {
    switch self {
    case .interactive: return BITNET_PRIORITY_INTERACTIVE
    case .background: return BITNET_PRIORITY_BACKGROUND
    }
  }
}

/// Which tokens' logits an evaluation computes.
public enum LogitsOf: Sendable {
  /// Of the last token given.
  case last
  /// Of every token given.
  case all
  /// None: quicker.
  case none

  var toC: bitnet_logits_of {
    switch self {
    case .last: return BITNET_LOGITS_LAST
    case .all: return BITNET_LOGITS_ALL
    case .none: return BITNET_LOGITS_NONE
    }
  }
}

/// Why a text ended.
public enum Finish: Sendable {
  /// The model ended it.
  case endToken
  /// A stop string came.
  case stop
  /// As many tokens as were asked for.
  case maxTokens
  /// The session is full.
  case context

  /// Nil of what is none of these.
  init?(_ c: bitnet_finish) {
    switch c {
    case BITNET_FINISH_END_TOKEN: self = .endToken
    case BITNET_FINISH_STOP: self = .stop
    case BITNET_FINISH_MAX_TOKENS: self = .maxTokens
    case BITNET_FINISH_CONTEXT: self = .context
    default: return nil
    }
  }
}

/// What is done about a history that leaves too little room for a reply.
public enum ChatFit: Sendable {
  /// The oldest turns are left out of the prompt, but for leading system messages.
  case dropOldest
  /// The reply is refused with CONTEXT: the caller shortens the history.
  case refuse

  var toC: bitnet_chat_fit {
    switch self {
    case .dropOldest: return BITNET_CHAT_FIT_DROP_OLDEST
    case .refuse: return BITNET_CHAT_FIT_REFUSE
    }
  }
}

/// What stands for a text: the hidden states of its tokens behind the model's last norm, or one of them.
public enum Pooling: Sendable {
  /// As the model was published; `last` where it was not to make embeddings.
  case model
  /// The last token's, which has seen all others.
  case last
  /// The mean of all tokens'.
  case mean
  /// The first token's; of a model whose tokens see only those before them, of little use.
  case cls

  var toC: bitnet_pooling {
    switch self {
    case .model: return BITNET_POOLING_MODEL
    case .last: return BITNET_POOLING_LAST
    case .mean: return BITNET_POOLING_MEAN
    case .cls: return BITNET_POOLING_CLS
    }
  }
}

/// The numbers of an embedding. An embedding counts by its direction: the similarity of two is the cosine between them.
/// What is smaller than a byte lies with the first number in the highest bits, and zeros fill up the last byte.
public enum EmbedFormat: Sendable {
  /// Floats of 32 bits.
  case float
  /// Signed bytes, in steps of 1/127 of the largest magnitude.
  case int8
  /// 4 bits: code c stands for 2 c - 15.
  case int4
  /// 2 bits: code c stands for 2 c - 3.
  case int2
  /// 1 bit: 1 where the number is positive. The fewer bits differ, the more alike are two.
  case int1

  var toC: bitnet_embed_format {
    switch self {
    case .float: return BITNET_EMBED_FLOAT
    case .int8: return BITNET_EMBED_INT8
    case .int4: return BITNET_EMBED_INT4
    case .int2: return BITNET_EMBED_INT2
    case .int1: return BITNET_EMBED_INT1
    }
  }
}

/// What becomes of a text that is too long.
public enum EmbedFit: Sendable {
  /// The call is refused with CONTEXT.
  case refuse
  /// Its end is left out, but for an end token that the vocabulary asks for.
  case cut

  var toC: bitnet_embed_fit {
    switch self {
    case .refuse: return BITNET_EMBED_FIT_REFUSE
    case .cut: return BITNET_EMBED_FIT_CUT
    }
  }
}

/// Whether a model is written as GGUF, and with which type of weights.
public enum Gguf: Sendable {
  /// As a `.bitnet` file.
  case none
  /// With the type that other programs take of such a model.
  case auto
  /// Numbers in 16 bits.
  case f16
  /// Numbers in 32 bits.
  case f32
  /// Bitnet.cpp, ik_llama.cpp: ternary, a scale for a matrix.
  case i2S
  /// Llama.cpp: ternary, 1.69 bits a weight, scales that F16 holds.
  case tq10
  /// Llama.cpp: ternary, 2.06 bits.
  case tq20
  /// Llama.cpp: ternary, an F16 scale for each 64 weights of a row.
  case q20
  /// Bitnet.cpp on Arm: ternary, a scale for a matrix, of shapes that it has kernels for.
  case tl1
  /// Bitnet.cpp on x86-64: likewise.
  case tl2

  var toC: bitnet_gguf {
    switch self {
    case .none: return BITNET_GGUF_NONE
    case .auto: return BITNET_GGUF_AUTO
    case .f16: return BITNET_GGUF_F16
    case .f32: return BITNET_GGUF_F32
    case .i2S: return BITNET_GGUF_I2_S
    case .tq10: return BITNET_GGUF_TQ1_0
    case .tq20: return BITNET_GGUF_TQ2_0
    case .q20: return BITNET_GGUF_Q2_0
    case .tl1: return BITNET_GGUF_TL1
    case .tl2: return BITNET_GGUF_TL2
    }
  }
}

/// Whether a model is written as a folder of Hugging Face's layout, which transformers loads, and how its linear layers
/// lie there.
public enum Safetensors: Sendable {
  /// As a file.
  case none
  /// Packed where that is the model's, or else the narrowest numbers that hold it.
  case auto
  /// 2 bits a weight and a scale for a matrix, with activations of 8 bits: BitNet's.
  case packed
  /// Numbers in 16 bits.
  case bf16
  /// Likewise.
  case f16
  /// Numbers in 32 bits.
  case f32

  var toC: bitnet_safetensors {
    switch self {
    case .none: return BITNET_SAFETENSORS_NONE
    case .auto: return BITNET_SAFETENSORS_AUTO
    case .packed: return BITNET_SAFETENSORS_PACKED
    case .bf16: return BITNET_SAFETENSORS_BF16
    case .f16: return BITNET_SAFETENSORS_F16
    case .f32: return BITNET_SAFETENSORS_F32
    }
  }
}

/// How a model is opened.
public struct OpenOptions: Sendable {
  /// Kernel set, see `Library.isaNames`; nil: $BITNET_ISA, or else the fastest.
  public var isa: String?
  /// Check every tensor's checksum, which reads the whole file.
  public var verify: Bool = false
  /// How the weights of a file that is not `.bitnet` are packed in memory.
  public var packing: Packing = .standard
  /// Likewise, how its head is kept.
  public var head: Head = .standard
  /// How the I2_S tensors of a GGUF file lie.
  public var i2s: I2SLayout = .auto
  /// In place of the file's: the name of a known template (see `Library.chatTemplateNames`), Jinja source (whatever
  /// contains "{{" or "{%"), or else the path of a file that holds it. Must be usable, or opening fails. Nil: the
  /// file's own, or the right one where the file's is a known mistake.
  public var chatTemplate: String?
  /// For files that do not name it; it counts even against one that does.
  public var activation: Activation = .standard
  /// How the matrices of a file that is not `.bitnet`, nor ternary, are kept in memory.
  public var dense: Dense = .standard
  /// Of a file that is not `.bitnet` and does not say it.
  public var activationBits: ActivationBits = .standard
  /// Told what the library chooses or notices, on any thread that uses the model, as long as it lives; nil: nobody is.
  public var log: (@Sendable (_ level: LogLevel, _ line: String) -> Void)?

  public init(
    isa: String? = nil, verify: Bool = false, packing: Packing = .standard, head: Head = .standard,
    i2s: I2SLayout = .auto, chatTemplate: String? = nil, activation: Activation = .standard, dense: Dense = .standard,
    activationBits: ActivationBits = .standard, log: (@Sendable (_ level: LogLevel, _ line: String) -> Void)? = nil
  ) {
    self.isa = isa
    self.verify = verify
    self.packing = packing
    self.head = head
    self.i2s = i2s
    self.chatTemplate = chatTemplate
    self.activation = activation
    self.dense = dense
    self.activationBits = activationBits
    self.log = log
  }

  /// Calls with what C takes, whose pointers are valid during that call.
  func withC<R>(_ body: (inout bitnet_open_options) throws -> R) throws -> R {
    var options = bitnet_open_options()
    options.size = MemoryLayout<bitnet_open_options>.size
    options.verify = verify ? 1 : 0
    options.packing = packing.toC
    options.head = head.toC
    options.i2s = i2s.toC
    options.activation = activation.toC
    options.dense = dense.toC
    options.activation_bits = activationBits.toC
    return try withCString(isa, "isa") { isa in
      options.isa = isa
      return try withCString(chatTemplate, "chatTemplate") { chatTemplate in
        options.chat_template = chatTemplate
        return try body(&options)
      }
    }
  }
}

/// What is known of a model; "" where its file says nothing.
public struct ModelInfo: Sendable, Equatable {
  /// The model's name.
  public let name: String
  /// Its license.
  public let license: String
  /// The family whose graph it has: "bitnet-b1.58", "llama", "qwen3", ...
  public let architecture: String
  /// Kernel set in use.
  public let isa: String
  /// Of the layers' weights: "i2", "t5", "g128", "g64"; of a model that is not ternary "f16", "f32" or "int8".
  public let packing: String
  /// "f16", "int8", "q6", "screened", "f32", or the packing of a ternary head; "none": the model makes embeddings only.
  public let head: String
  /// Number of weights, embedding included, a tied head not counted again.
  public let parameters: UInt64
  /// How many of them are ternary.
  public let ternaryParameters: UInt64
  /// Size of the file.
  public let fileBytes: UInt64
  /// Size of all weights as they are used; file-backed where mapped.
  public let residentBytes: UInt64
  /// Number of tokens.
  public let vocabulary: Int
  /// Tokens it was trained for.
  public let context: Int
  /// Number of layers.
  public let layers: Int
  /// Width of the residual stream.
  public let hidden: Int
  /// Width of the feed-forward network.
  public let ffn: Int
  /// Number of attention heads.
  public let heads: Int
  /// Number of heads of keys and values.
  public let kvHeads: Int
  /// Width of a head.
  public let headDim: Int
  /// The token that begins a text; `nil` if there is none.
  public let bos: Token?
  /// The token that ends a text; `nil` if there is none.
  public let eos: Token?
  /// There is a chat template, and `Model.chatTokenize` works.
  public let hasChatTemplate: Bool
  /// Jinja source of the chat template in use; "" if there is none.
  public let chatTemplate: String
  /// Where it is from: "file", "option", or the name of the known template that stands in for the file's, which is a
  /// known mistake; "" if there is none.
  public let chatTemplateSource: String
  /// "relu2", "silu" or "gelu".
  public let activation: String
  /// How the model was published to make embeddings: "last", "mean" or "cls"; "" if it was not.
  public let pooling: String

  init(_ c: bitnet_model_info) {
    name = String(cString: c.name)
    license = String(cString: c.license)
    architecture = String(cString: c.architecture)
    isa = String(cString: c.isa)
    packing = String(cString: c.packing)
    head = String(cString: c.head)
    parameters = c.parameters
    ternaryParameters = c.ternary_parameters
    fileBytes = c.file_bytes
    residentBytes = c.resident_bytes
    vocabulary = Int(c.vocabulary)
    context = Int(c.context)
    layers = Int(c.layers)
    hidden = Int(c.hidden)
    ffn = Int(c.ffn)
    heads = Int(c.heads)
    kvHeads = Int(c.kv_heads)
    headDim = Int(c.head_dim)
    bos = c.bos < 0 ? nil : c.bos
    eos = c.eos < 0 ? nil : c.eos
    hasChatTemplate = c.has_chat_template != 0
    chatTemplate = String(cString: c.chat_template)
    chatTemplateSource = String(cString: c.chat_template_source)
    activation = String(cString: c.activation)
    pooling = String(cString: c.pooling)
  }
}

/// How a pool computes.
public struct PoolOptions: Sendable {
  /// Threads that compute, the one that leads a pass included, at most 512; 0: one per physical core. No more than the
  /// CPUs that the creating thread may run on, within its control group's share of CPU time.
  public var threads: Int = 0

  public init(
    threads: Int = 0
  ) {
    self.threads = threads
  }

  /// Calls with what C takes, whose pointers are valid during that call.
  func withC<R>(_ body: (inout bitnet_pool_options) throws -> R) throws -> R {
    var options = bitnet_pool_options()
    options.size = MemoryLayout<bitnet_pool_options>.size
    options.threads = try count(threads, "threads")
    return try body(&options)
  }
}

/// How an engine computes.
public struct EngineOptions: Sendable {
  /// Without a pool: threads of its own that compute, the one that leads a pass included, at most 512; 0: those of the
  /// default pool, which all engines that ask for none share.
  public var threads: Int = 0
  /// Of the threads, those that compute a token by itself; 0: as many as turn out fastest, which is found by trying
  /// fewer for a token now and then.
  public var generationThreads: Int = 0
  /// The most tokens in a pass, at most 4096; 0: 256.
  public var batch: Int = 0
  /// While several sessions compute, prompts are cut so that a pass takes about so many milliseconds, and with it the
  /// time between two tokens of the others; at most 60000; 0: 100.
  public var passMs: Int = 0
  /// The most that is kept of the keys and values of prompts that no session holds any more, for sessions with a
  /// `prefix_scope`; 0: 268435456.
  public var prefixBytes: UInt64 = 0
  /// The most that keys and values of its sessions take, prompts that are kept included; 0: as much as its sessions may
  /// hold. A session that it leaves no room for is not made, so that evaluations never run out of memory.
  public var kvBytes: UInt64 = 0
  /// Each session's context need only fit `kvBytes` by itself. Where an evaluation finds no room, prompts that are kept
  /// go first; then it waits as long as `queueMs`; then it is an error (MEMORY) of that evaluation alone, its session
  /// unchanged.
  public var overcommit: Bool = false
  /// With `overcommit`: how many milliseconds an evaluation waits for others to leave room, at most 3600000; what fits
  /// goes first, whoever waits longer. A session waits with what it holds.
  public var queueMs: Int = 0

  public init(
    threads: Int = 0, generationThreads: Int = 0, batch: Int = 0, passMs: Int = 0, prefixBytes: UInt64 = 0,
    kvBytes: UInt64 = 0, overcommit: Bool = false, queueMs: Int = 0
  ) {
    self.threads = threads
    self.generationThreads = generationThreads
    self.batch = batch
    self.passMs = passMs
    self.prefixBytes = prefixBytes
    self.kvBytes = kvBytes
    self.overcommit = overcommit
    self.queueMs = queueMs
  }

  /// Calls with what C takes, whose pointers are valid during that call.
  func withC<R>(_ body: (inout bitnet_engine_options) throws -> R) throws -> R {
    var options = bitnet_engine_options()
    options.size = MemoryLayout<bitnet_engine_options>.size
    options.threads = try count(threads, "threads")
    options.generation_threads = try count(generationThreads, "generationThreads")
    options.batch = try count(batch, "batch")
    options.pass_ms = try count(passMs, "passMs")
    options.prefix_bytes = prefixBytes
    options.kv_bytes = kvBytes
    options.overcommit = overcommit ? 1 : 0
    options.queue_ms = try count(queueMs, "queueMs")
    return try body(&options)
  }
}

/// What a session is.
public struct SessionOptions: Sendable {
  /// Tokens it can hold; 0: what the model was trained for, at most 8192. More is allowed; beyond what it was trained
  /// for, quality fades.
  public var context: Int = 0
  /// How keys and values are kept.
  public var kv: KV = .int16
  /// When others compute as well.
  public var priority: Priority = .interactive
  /// Sessions of one engine with the same number share what they compute of the same first tokens; 0: with nobody. How
  /// long a prompt takes then tells whether others in the scope had the same text: give users who must not learn this
  /// different numbers.
  public var prefixScope: UInt64 = 0

  public init(
    context: Int = 0, kv: KV = .int16, priority: Priority = .interactive, prefixScope: UInt64 = 0
  ) {
    self.context = context
    self.kv = kv
    self.priority = priority
    self.prefixScope = prefixScope
  }

  /// Calls with what C takes, whose pointers are valid during that call.
  func withC<R>(_ body: (inout bitnet_session_options) throws -> R) throws -> R {
    var options = bitnet_session_options()
    options.size = MemoryLayout<bitnet_session_options>.size
    options.context = try count(context, "context")
    options.kv = kv.toC
    options.priority = priority.toC
    options.prefix_scope = prefixScope
    return try body(&options)
  }
}

/// Counters of a session.
public struct Perf: Sendable, Equatable {
  /// Tokens evaluated by calls with more than one for the session.
  public let promptTokens: Int
  /// The session's share of the time of their passes.
  public let promptTime: Duration
  /// Tokens evaluated one by one.
  public let generatedTokens: Int
  /// The session's share of the time of their passes.
  public let generatedTime: Duration
  /// Tokens drawn.
  public let sampledTokens: Int
  /// The time that took; with the head if the model's head is "screened".
  public let sampleTime: Duration
  /// Passes over the weights that computed for the session.
  public let passes: Int
  /// Sessions that they computed for, summed: divided by `passes`, how many shared one.
  public let passSessions: Int
  /// Tokens that needed no evaluation, because the session's `prefix_scope` had them.
  public let reusedTokens: Int

  init(_ c: bitnet_perf) {
    promptTokens = Int(c.prompt_tokens)
    promptTime = .nanoseconds(Int64(c.prompt_ns))
    generatedTokens = Int(c.generated_tokens)
    generatedTime = .nanoseconds(Int64(c.generated_ns))
    sampledTokens = Int(c.sampled_tokens)
    sampleTime = .nanoseconds(Int64(c.sample_ns))
    passes = Int(c.passes)
    passSessions = Int(c.pass_sessions)
    reusedTokens = Int(c.reused_tokens)
  }
}

/// How tokens are drawn. All zero means the most likely token each time. The order is: `logitBias`, penalties, `topK`,
/// `temperature`, `topP`, `minP`, draw. With `temperature` 0 the most likely token is taken after the penalties. Among
/// equal logits the lower token comes first.
public struct SamplerOptions: Sendable {
  /// Seed of the random numbers (PCG-XSH-RR 64/32).
  public var seed: UInt64 = 0
  /// Divides the logits; 0: always the most likely token.
  public var temperature: Float = 0
  /// Keep the k most likely; 0: all.
  public var topK: Int = 0
  /// Keep the fewest most likely tokens whose probabilities reach p; 0 or 1: all.
  public var topP: Float = 0
  /// Keep tokens at least `minP` times as likely as the most likely one; 0: all.
  public var minP: Float = 0
  /// Divides positive, multiplies negative logits of recent tokens; 0 or 1: none.
  public var repetitionPenalty: Float = 0
  /// Subtracted once for every occurrence among the recent tokens.
  public var frequencyPenalty: Float = 0
  /// Subtracted if a token occurs among the recent ones at all.
  public var presencePenalty: Float = 0
  /// How many of the last tokens count as recent; 0: 64.
  public var penaltyWindow: Int = 0
  /// Added to the logits of tokens; `-.infinity` forbids a token.
  public var logitBias: [Token: Float] = [:]

  public init(
    seed: UInt64 = 0, temperature: Float = 0, topK: Int = 0, topP: Float = 0, minP: Float = 0,
    repetitionPenalty: Float = 0, frequencyPenalty: Float = 0, presencePenalty: Float = 0, penaltyWindow: Int = 0,
    logitBias: [Token: Float] = [:]
  ) {
    self.seed = seed
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.repetitionPenalty = repetitionPenalty
    self.frequencyPenalty = frequencyPenalty
    self.presencePenalty = presencePenalty
    self.penaltyWindow = penaltyWindow
    self.logitBias = logitBias
  }

  /// Calls with what C takes, whose pointers are valid during that call.
  func withC<R>(_ body: (inout bitnet_sampler_options) throws -> R) throws -> R {
    var options = bitnet_sampler_options()
    options.size = MemoryLayout<bitnet_sampler_options>.size
    options.seed = seed
    options.temperature = temperature
    options.top_k = try count(topK, "topK")
    options.top_p = topP
    options.min_p = minP
    options.repetition_penalty = repetitionPenalty
    options.frequency_penalty = frequencyPenalty
    options.presence_penalty = presencePenalty
    options.penalty_window = try count(penaltyWindow, "penaltyWindow")
    return try withBiases(logitBias) { logitBias, count in
      options.logit_bias = logitBias
      options.logit_bias_count = count
      return try body(&options)
    }
  }
}

/// How a text is generated.
public struct GenerateOptions: Sendable {
  /// 0: until an end token or the context is full.
  public var maxTokens: Int = 0
  /// How tokens are drawn; nil: the most likely one each time.
  public var sampler: SamplerOptions = SamplerOptions()
  /// The text ends before the first of these, which is not given out.
  public var stop: [String] = []
  /// The prompt is the whole text from position 0: what the session holds of it already is kept, the rest forgotten.
  /// Otherwise the prompt is appended.
  public var whole: Bool = false
  /// The prompt's text may name control tokens. Never for text from strangers: conversations come as tokens from
  /// `Model.chatTokenize`.
  public var specialPrompt: Bool = false
  /// Write control tokens out as text.
  public var specialOutput: Bool = false
  /// Go on after an end token.
  public var ignoreEnd: Bool = false
  /// Of chats: control tokens spelt out in contents are those tokens. Never for text from strangers, who could then
  /// speak for others.
  public var trust: Bool = false

  public init(
    maxTokens: Int = 0, sampler: SamplerOptions = SamplerOptions(), stop: [String] = [], whole: Bool = false,
    specialPrompt: Bool = false, specialOutput: Bool = false, ignoreEnd: Bool = false, trust: Bool = false
  ) {
    self.maxTokens = maxTokens
    self.sampler = sampler
    self.stop = stop
    self.whole = whole
    self.specialPrompt = specialPrompt
    self.specialOutput = specialOutput
    self.ignoreEnd = ignoreEnd
    self.trust = trust
  }

  /// Calls with what C takes, whose pointers are valid during that call.
  func withC<R>(_ body: (inout bitnet_generate_options) throws -> R) throws -> R {
    var options = bitnet_generate_options()
    options.size = MemoryLayout<bitnet_generate_options>.size
    options.max_tokens = try count(maxTokens, "maxTokens")
    if whole { options.flags |= UInt32(BITNET_GENERATE_WHOLE) }
    if specialPrompt { options.flags |= UInt32(BITNET_GENERATE_SPECIAL_PROMPT) }
    if specialOutput { options.flags |= UInt32(BITNET_GENERATE_SPECIAL_OUTPUT) }
    if ignoreEnd { options.flags |= UInt32(BITNET_GENERATE_IGNORE_END) }
    return try sampler.withCPointer { sampler in
      options.sampler = sampler
      return try withCStrings(stop, "stop") { stop, count in
        options.stop = stop
        options.stop_count = count
        return try body(&options)
      }
    }
  }
}

/// How texts are embedded.
public struct EmbedOptions: Sendable {
  /// What stands for a text.
  public var pooling: Pooling = .model
  /// The numbers of an embedding.
  public var format: EmbedFormat = .float
  /// How many of them, the first ones; for models that were trained for it. 0: all.
  public var dimensions: Int = 0
  /// As the model has them, in floats, rather than brought to length 1.
  public var raw: Bool = false
  /// What becomes of texts with more tokens.
  public var fit: EmbedFit = .refuse
  /// Most tokens of a text; 0: what the model was trained for.
  public var maxTokens: Int = 0
  /// When others compute as well.
  public var priority: Priority = .interactive

  public init(
    pooling: Pooling = .model, format: EmbedFormat = .float, dimensions: Int = 0, raw: Bool = false,
    fit: EmbedFit = .refuse, maxTokens: Int = 0, priority: Priority = .interactive
  ) {
    self.pooling = pooling
    self.format = format
    self.dimensions = dimensions
    self.raw = raw
    self.fit = fit
    self.maxTokens = maxTokens
    self.priority = priority
  }

  /// Calls with what C takes, whose pointers are valid during that call.
  func withC<R>(_ body: (inout bitnet_embed_options) throws -> R) throws -> R {
    var options = bitnet_embed_options()
    options.size = MemoryLayout<bitnet_embed_options>.size
    options.pooling = pooling.toC
    options.format = format.toC
    options.dimensions = try count(dimensions, "dimensions")
    options.raw = raw ? 1 : 0
    options.fit = fit.toC
    options.max_tokens = try count(maxTokens, "maxTokens")
    options.priority = priority.toC
    return try body(&options)
  }
}

/// How a file is converted.
public struct ConvertOptions: Sendable {
  /// How the weights of the output are packed.
  public var packing: Packing = .standard
  /// How the head of the output is kept.
  public var head: Head = .standard
  /// How the I2_S tensors of a GGUF file that is read lie.
  public var i2s: I2SLayout = .auto
  /// Weights that are not ternary yet become so (scale = mean |w|, as BitNet b1.58 is published). Otherwise BitNet's
  /// architectures refuse them, and others keep numbers.
  public var quantize: Bool = false
  /// 0: tensors as they are, so that the file is mapped and used at once. 1 .. 19: compressed for download; such a file
  /// is unpacked into memory when it is opened.
  public var zstdLevel: Int = 0
  /// To be stored in place of the input's; as in `OpenOptions`.
  public var chatTemplate: String?
  /// To be stored; as in `OpenOptions`.
  public var activation: Activation = .standard
  /// How the matrices of a model that is not ternary are kept.
  public var dense: Dense = .standard
  /// For ternary weights of files that do not say it.
  public var activationBits: ActivationBits = .standard
  /// Writes GGUF, so that other programs open the model; `packing`, `head`, `dense` and `zstdLevel` then have to be
  /// left out.
  public var gguf: Gguf = .none
  /// Numbers that the GGUF type does not hold are rounded, and what a folder does not say is left out; otherwise they
  /// are an error (UNSUPPORTED).
  public var lossy: Bool = false
  /// Writes a folder in place of a file; `gguf` and what that excludes then have to be left out. It must be new, or
  /// empty.
  public var safetensors: Safetensors = .none
  /// Told what the library chooses or notices, during the call; nil: nobody is.
  public var log: (@Sendable (_ level: LogLevel, _ line: String) -> Void)?

  public init(
    packing: Packing = .standard, head: Head = .standard, i2s: I2SLayout = .auto, quantize: Bool = false,
    zstdLevel: Int = 0, chatTemplate: String? = nil, activation: Activation = .standard, dense: Dense = .standard,
    activationBits: ActivationBits = .standard, gguf: Gguf = .none, lossy: Bool = false,
    safetensors: Safetensors = .none, log: (@Sendable (_ level: LogLevel, _ line: String) -> Void)? = nil
  ) {
    self.packing = packing
    self.head = head
    self.i2s = i2s
    self.quantize = quantize
    self.zstdLevel = zstdLevel
    self.chatTemplate = chatTemplate
    self.activation = activation
    self.dense = dense
    self.activationBits = activationBits
    self.gguf = gguf
    self.lossy = lossy
    self.safetensors = safetensors
    self.log = log
  }

  /// Calls with what C takes, whose pointers are valid during that call.
  func withC<R>(_ body: (inout bitnet_convert_options) throws -> R) throws -> R {
    var options = bitnet_convert_options()
    options.size = MemoryLayout<bitnet_convert_options>.size
    options.packing = packing.toC
    options.head = head.toC
    options.i2s = i2s.toC
    options.quantize = quantize ? 1 : 0
    options.zstd_level = Int32(clamping: try count(zstdLevel, "zstdLevel"))
    options.activation = activation.toC
    options.dense = dense.toC
    options.activation_bits = activationBits.toC
    options.gguf = gguf.toC
    options.lossy = lossy ? 1 : 0
    options.safetensors = safetensors.toC
    return try withCString(chatTemplate, "chatTemplate") { chatTemplate in
      options.chat_template = chatTemplate
      return try body(&options)
    }
  }
}
