// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiFunction;

/** Weights and vocabulary, shared by any number of sessions, decoders and threads, which keep what they need of it. */
public final class Model implements AutoCloseable {
  final NativeModel object;
  // C++ calls it as long as the model lives, and sessions refer to their Model.
  private final Listener listener;
  private final String name;
  private final String description;
  private volatile boolean closed;

  private Model(OpenOptions options, BiFunction<NativeOpenOptions, Listener, NativeModel> open) {
    NativeLibrary.load();
    OpenOptions given = Text.or(options, new OpenOptions());
    listener = given.listener();
    NativeModel[] opened = new NativeModel[1];
    try {
      listener.during(() -> opened[0] = open.apply(given.toNative(), listener));
    } catch (Throwable e) {
      if (opened[0] != null) opened[0].close();
      throw e;
    }
    object = opened[0];
    ModelInfo info = info();
    name = info.name().isEmpty() ? "unnamed" : info.name();
    description = name + ", " + info.architecture() + ", " + info.parameters() + " parameters";
  }

  /** Opens a {@code .bitnet} file, which is mapped and used as it lies, or a GGUF file, which is repacked in memory. */
  public static Model open(String path) {
    return open(path, new OpenOptions());
  }

  /** The same with options, or null. */
  public static Model open(String path, OpenOptions options) {
    byte[] name = Text.encode(path, "path");
    return new Model(options, (o, l) -> NativeModel.open(name, o, l));
  }

  /** The same by a path of the default file system. */
  public static Model open(Path path) {
    return open(path, null);
  }

  /** The same by a path of the default file system, with options, or null. */
  public static Model open(Path path, OpenOptions options) {
    return open(Objects.requireNonNull(path, "path").toString(), options);
  }

  /** Opens what is between a buffer's position and its limit, which is copied. */
  public static Model open(ByteBuffer data) {
    return open(data, new OpenOptions());
  }

  /** The same with options, or null. */
  public static Model open(ByteBuffer data, OpenOptions options) {
    ByteBuffer direct = Text.direct(data);
    return new Model(options, (o, l) -> NativeModel.open_memory(direct, o, l));
  }

  /** Lets go of the model; sessions still using it keep it alive. */
  @Override
  public void close() {
    closed = true;
    object.close();
  }

  /** Names, sizes and special tokens. */
  public ModelInfo info() {
    NativeModelInfo info = object.info();
    try {
      return new ModelInfo(info);
    } finally {
      info.close(); // which otherwise kept a closed model's memory until the garbage collector came
    }
  }

  /** Free-form entries of the file, in its order. */
  public Map<String, String> metadata() {
    Map<String, String> entries = new LinkedHashMap<>();
    byte[][] texts = object.metadata();
    for (int i = 0; i + 1 < texts.length; i += 2) entries.put(Text.decode(texts[i]), Text.decode(texts[i + 1]));
    return Collections.unmodifiableMap(entries);
  }

  /** The tokens of a text. */
  public int[] tokenize(String text, TextOption... options) {
    return object.tokenize(Text.encode(text, "text"), TextOption.flags(options));
  }

  /** The text of tokens. Characters cut in half become U+FFFD; a {@link Decoder} does streams. */
  public String detokenize(int[] tokens, TextOption... options) {
    return Text.decode(detokenizeBytes(tokens, options));
  }

  /** The bytes of tokens, which need not be whole characters of UTF-8. */
  public byte[] detokenizeBytes(int[] tokens, TextOption... options) {
    return object.detokenize(Objects.requireNonNull(tokens, "tokens"), TextOption.flags(options));
  }

  /** Whether no plain text is written by the token. */
  public boolean isControl(int token) {
    return object.is_control(token);
  }

  /** Whether the token ends a generation. */
  public boolean isEnd(int token) {
    return object.is_end(token);
  }

  /**
   * A conversation as the model's chat template writes it, up to where the assistant's answer begins: to look at or to
   * store. It does not tell the template's control tokens from contents that spell one; {@link #chatTokenize(List)} does.
   */
  public String chatPrompt(List<Message> messages) {
    return chatPrompt(messages, true);
  }

  /** The same; without {@code reply}, up to the end of the last message. */
  public String chatPrompt(List<Message> messages, boolean reply) {
    return Text.decode(object.chat_format(Message.toNative(messages), chatFlags(reply, false)));
  }

  /**
   * The tokens of a conversation as the model's chat template writes it, up to where the assistant's answer begins. Control
   * tokens are those that the template itself writes; contents that spell one are plain text.
   */
  public int[] chatTokenize(List<Message> messages) {
    return chatTokenize(messages, true);
  }

  /** The same; without {@code reply}, up to the end of the last message. */
  public int[] chatTokenize(List<Message> messages, boolean reply) {
    return chatTokenize(messages, reply, false);
  }

  /**
   * The same; with {@code trust}, control tokens spelt out in contents are those tokens. Never for text from strangers, who
   * could then speak for others.
   */
  public int[] chatTokenize(List<Message> messages, boolean reply, boolean trust) {
    return object.chat_tokenize(Message.toNative(messages), chatFlags(reply, trust));
  }

  private static int chatFlags(boolean reply, boolean trust) {
    return (reply ? NativeConstants.BITNET_CHAT_REPLY : 0) | (trust ? NativeConstants.BITNET_CHAT_TRUST : 0);
  }

  /**
   * The embeddings of texts, which are computed together: texts whose meaning is alike have embeddings with a large dot
   * product. Interrupting the thread cancels the call.
   */
  public float[][] embed(List<String> texts) {
    return embed(texts, new EmbedOptions());
  }

  /** The same with options, or null; their format must be {@link EmbedFormat#FLOAT}. */
  public float[][] embed(List<String> texts, EmbedOptions options) {
    return embed(texts, options, null);
  }

  /** The same in any format, as the bytes of each embedding; floats are in the order of bytes of this machine. */
  public byte[][] embedBytes(List<String> texts, EmbedOptions options) {
    return embedBytes(texts, options, null);
  }

  float[][] embed(List<String> texts, EmbedOptions options, NativeEngine engine) {
    NativeEmbedOptions given = Text.or(options, new EmbedOptions()).toNative();
    if (given.getFormat() != EmbedFormat.FLOAT.value) throw new IllegalArgumentException("these embeddings are not of floats");
    byte[][] bytes = embedBytes(texts, given, engine);
    float[][] embeddings = new float[bytes.length][];
    for (int i = 0; i < bytes.length; i++) {
      FloatBuffer floats = ByteBuffer.wrap(bytes[i]).order(ByteOrder.nativeOrder()).asFloatBuffer();
      embeddings[i] = new float[floats.remaining()];
      floats.get(embeddings[i]);
    }
    return embeddings;
  }

  byte[][] embedBytes(List<String> texts, EmbedOptions options, NativeEngine engine) {
    return embedBytes(texts, Text.or(options, new EmbedOptions()).toNative(), engine);
  }

  private byte[][] embedBytes(List<String> texts, NativeEmbedOptions options, NativeEngine engine) {
    NativeTexts all = new NativeTexts();
    for (String text : Objects.requireNonNull(texts, "texts")) all.add(Text.encode(text, "a text"));
    byte[] bytes = object.embed(all, options, engine, null);
    byte[][] embeddings = new byte[texts.size()][];
    int size = embeddings.length == 0 ? 0 : bytes.length / embeddings.length;
    for (int i = 0; i < embeddings.length; i++) embeddings[i] = Arrays.copyOfRange(bytes, i * size, (i + 1) * size);
    return embeddings;
  }

  /** What computes for the sessions that it makes, in place of the model's own engine. */
  public Engine engine() {
    return engine(new EngineOptions());
  }

  /** The same with options, or null. */
  public Engine engine(EngineOptions options) {
    return engine(options, null);
  }

  /** The same with the threads of a pool, or null. */
  public Engine engine(EngineOptions options, Pool pool) {
    return new Engine(this, options, pool);
  }

  /** The bytes that an engine with these options, or null, takes besides the model and its sessions. */
  public long engineMemory(EngineOptions options) {
    return object.engine_memory(Text.or(options, new EngineOptions()).toNative());
  }

  /**
   * Has the model's own engine give memory back that it does not need at the moment: what it keeps of prompts, whose bytes
   * are returned, and its work space. For {@code onTrimMemory} and the like.
   */
  public long trim() {
    return object.trim();
  }

  /** An empty session. The model's own engine computes for it, as for all that are made here. */
  public Session session() {
    return session(new SessionOptions());
  }

  /** The same with options, or null. */
  public Session session(SessionOptions options) {
    return session(options, null);
  }

  Session session(SessionOptions options, NativeEngine engine) {
    return new Session(this, new NativeSession(object, Text.or(options, new SessionOptions()).toNative(), engine));
  }

  /** The bytes that an empty session takes besides the model and its engine. */
  public long sessionMemory() {
    return sessionMemory(new SessionOptions());
  }

  /** The same with options, or null. */
  public long sessionMemory(SessionOptions options) {
    return object.session_memory(Text.or(options, new SessionOptions()).toNative());
  }

  /** What others call it, also once it is closed. */
  String name() {
    return name;
  }

  /** What it is, for people, also once it is closed. */
  @Override
  public String toString() {
    return "Model[" + description + (closed ? ", closed]" : "]");
  }
}
