// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** How a text is generated. */
public final class GenerateOptions {
  private int maxTokens;
  private int flags;
  private boolean trust;
  private SamplerOptions sampler = new SamplerOptions();
  private final List<String> stops = new ArrayList<>();

  /** 0: until an end token, or until the context is full. */
  public GenerateOptions maxTokens(int count) {
    maxTokens = Text.count(count, "maxTokens");
    return this;
  }

  /** How tokens are drawn. Null: the most likely one each time. */
  public GenerateOptions sampler(SamplerOptions options) {
    sampler = Text.or(options, new SamplerOptions());
    return this;
  }

  /** The text ends before the first of these, which is not given out. Each call adds one. */
  public GenerateOptions stop(String text) {
    stops.add(Objects.requireNonNull(text, "text"));
    return this;
  }

  /** The prompt is the whole text from the start: what the session holds of it is kept, the rest forgotten. */
  public GenerateOptions whole(boolean on) {
    return flag(NativeConstants.BITNET_GENERATE_WHOLE, on);
  }

  /** The prompt's text may name control tokens. Never for text from strangers. */
  public GenerateOptions specialPrompt(boolean on) {
    return flag(NativeConstants.BITNET_GENERATE_SPECIAL_PROMPT, on);
  }

  /**
   * Of {@link Session#chat}: control tokens spelt out in contents are those tokens. Never for text from strangers, who could
   * then speak for others.
   */
  public GenerateOptions trust(boolean on) {
    trust = on;
    return this;
  }

  boolean isTrusting() {
    return trust;
  }

  /** Writes control tokens out as text. */
  public GenerateOptions specialOutput(boolean on) {
    return flag(NativeConstants.BITNET_GENERATE_SPECIAL_OUTPUT, on);
  }

  /** Goes on after an end token. */
  public GenerateOptions ignoreEnd(boolean on) {
    return flag(NativeConstants.BITNET_GENERATE_IGNORE_END, on);
  }

  private GenerateOptions flag(int bit, boolean on) {
    flags = on ? flags | bit : flags & ~bit;
    return this;
  }

  static NativeGenerateOptions toNative(GenerateOptions options, int moreFlags) {
    return Text.or(options, new GenerateOptions()).toNative(moreFlags);
  }

  private NativeGenerateOptions toNative(int moreFlags) {
    NativeGenerateOptions options = new NativeGenerateOptions();
    options.setMax_tokens(maxTokens);
    options.setFlags(flags | moreFlags);
    options.set_sampler(sampler.toNative());
    for (String text : stops) options.add_stop(Text.encode(text, "stop"));
    return options;
  }
}
