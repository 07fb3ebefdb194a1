// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.OptionalInt;

/** What is known of a model; empty texts where its file says nothing. */
public final class ModelInfo {
  private final String name;
  private final String license;
  private final String architecture;
  private final String isa;
  private final String packing;
  private final String head;
  private final long parameters;
  private final long ternaryParameters;
  private final long fileBytes;
  private final long residentBytes;
  private final int vocabulary;
  private final int context;
  private final int layers;
  private final int hidden;
  private final int ffn;
  private final int heads;
  private final int kvHeads;
  private final int headDim;
  private final OptionalInt bos;
  private final OptionalInt eos;
  private final boolean hasChatTemplate;
  private final String chatTemplate;
  private final String chatTemplateSource;
  private final String activation;

  ModelInfo(NativeModelInfo info) {
    name = Text.decode(info.getName());
    license = Text.decode(info.getLicense());
    architecture = Text.decode(info.getArchitecture());
    isa = Text.decode(info.getIsa());
    packing = Text.decode(info.getPacking());
    head = Text.decode(info.getHead());
    parameters = info.getParameters();
    ternaryParameters = info.getTernary_parameters();
    fileBytes = info.getFile_bytes();
    residentBytes = info.getResident_bytes();
    vocabulary = info.getVocabulary();
    context = info.getContext();
    layers = info.getLayers();
    hidden = info.getHidden();
    ffn = info.getFfn();
    heads = info.getHeads();
    kvHeads = info.getKv_heads();
    headDim = info.getHead_dim();
    bos = token(info.getBos());
    eos = token(info.getEos());
    hasChatTemplate = info.getHas_chat_template() != 0;
    chatTemplate = Text.decode(info.getChat_template());
    chatTemplateSource = Text.decode(info.getChat_template_source());
    activation = Text.decode(info.getActivation());
    info.close(); // which otherwise kept a closed model's memory until the garbage collector came
  }

  private static OptionalInt token(int token) {
    return token < 0 ? OptionalInt.empty() : OptionalInt.of(token);
  }

  /** Its name. */
  public String name() {
    return name;
  }

  /** Its license. */
  public String license() {
    return license;
  }

  /** "bitnet-b1.58", "bitnet-25" or "bitnet". */
  public String architecture() {
    return architecture;
  }

  /** The kernel set in use. */
  public String isa() {
    return isa;
  }

  /** "i2", "t5" or "mixed". */
  public String packing() {
    return packing;
  }

  /** "f16", "int8", "q6" or "screened". */
  public String head() {
    return head;
  }

  /** Number of weights, embedding included, a tied head not counted again. */
  public long parameters() {
    return parameters;
  }

  /** Number of ternary weights. */
  public long ternaryParameters() {
    return ternaryParameters;
  }

  /** Size of the file. */
  public long fileBytes() {
    return fileBytes;
  }

  /** Of all weights as they are used. */
  public long residentBytes() {
    return residentBytes;
  }

  /** Number of tokens. */
  public int vocabulary() {
    return vocabulary;
  }

  /** Tokens it was trained for. */
  public int context() {
    return context;
  }

  /** Number of layers. */
  public int layers() {
    return layers;
  }

  /** Width of a layer. */
  public int hidden() {
    return hidden;
  }

  /** Width of a feed-forward network. */
  public int ffn() {
    return ffn;
  }

  /** Attention heads. */
  public int heads() {
    return heads;
  }

  /** Heads of keys and values. */
  public int kvHeads() {
    return kvHeads;
  }

  /** Width of a head. */
  public int headDim() {
    return headDim;
  }

  /** The begin token, if there is one. */
  public OptionalInt bos() {
    return bos;
  }

  /** The end token, if there is one. */
  public OptionalInt eos() {
    return eos;
  }

  /** Whether {@link Session#chat} and {@link Model#chatPrompt} work. */
  public boolean hasChatTemplate() {
    return hasChatTemplate;
  }

  /** The Jinja source of the chat template in use; empty if there is none. */
  public String chatTemplate() {
    return chatTemplate;
  }

  /**
   * Where it is from: "file", "option", or the name of the known template that stands in for the file's, which is a known
   * mistake; empty if there is none.
   */
  public String chatTemplateSource() {
    return chatTemplateSource;
  }

  /** "relu2" or "silu". */
  public String activation() {
    return activation;
  }

  /** The most of it, for people. */
  @Override
  public String toString() {
    return "ModelInfo[name=" + name + ", license=" + license + ", architecture=" + architecture + ", activation="
        + activation + ", isa=" + isa + ", packing=" + packing + ", head=" + head + ", parameters=" + parameters
        + ", vocabulary=" + vocabulary + ", context=" + context + ", layers=" + layers + ", hidden=" + hidden
        + ", ffn=" + ffn + ", heads=" + heads + ", kvHeads=" + kvHeads + ", chatTemplateSource=" + chatTemplateSource
        + "]";
  }
}
