// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.LinkedHashMap;
import java.util.Map;

/** How tokens are drawn. All of these are off by default, which is the most likely token each time. */
public final class SamplerOptions {
  private long seed;
  private float temperature;
  private int topK;
  private float topP;
  private float minP;
  private float repetitionPenalty;
  private float frequencyPenalty;
  private float presencePenalty;
  private int penaltyWindow;
  private final Map<Integer, Float> logitBias = new LinkedHashMap<>();

  /** Of the random numbers. */
  public SamplerOptions seed(long seed) {
    this.seed = seed;
    return this;
  }

  /** Divides the logits; 0: always the most likely token. */
  public SamplerOptions temperature(float temperature) {
    this.temperature = temperature;
    return this;
  }

  /** Keeps the k most likely tokens; 0: all. */
  public SamplerOptions topK(int k) {
    topK = Text.count(k, "topK");
    return this;
  }

  /** Keeps the fewest most likely tokens whose probabilities reach p; 0 or 1: all. */
  public SamplerOptions topP(float p) {
    topP = p;
    return this;
  }

  /** Keeps the tokens at least p times as likely as the most likely one; 0: all. */
  public SamplerOptions minP(float p) {
    minP = p;
    return this;
  }

  /** Divides positive, multiplies negative logits of recent tokens; 0 or 1: none. */
  public SamplerOptions repetitionPenalty(float penalty) {
    repetitionPenalty = penalty;
    return this;
  }

  /** Subtracted once for every occurrence among the recent tokens. */
  public SamplerOptions frequencyPenalty(float penalty) {
    frequencyPenalty = penalty;
    return this;
  }

  /** Subtracted if a token occurs among the recent ones at all. */
  public SamplerOptions presencePenalty(float penalty) {
    presencePenalty = penalty;
    return this;
  }

  /** How many of the last tokens count as recent; 0: 64. */
  public SamplerOptions penaltyWindow(int tokens) {
    penaltyWindow = Text.count(tokens, "penaltyWindow");
    return this;
  }

  /** Added to a token's logit; {@link Float#NEGATIVE_INFINITY} forbids it. May be called for any number of tokens. */
  public SamplerOptions logitBias(int token, float bias) {
    logitBias.put(token, bias);
    return this;
  }

  NativeSamplerOptions toNative() {
    NativeSamplerOptions options = new NativeSamplerOptions();
    options.setSeed(seed);
    options.setTemperature(temperature);
    options.setTop_k(topK);
    options.setTop_p(topP);
    options.setMin_p(minP);
    options.setRepetition_penalty(repetitionPenalty);
    options.setFrequency_penalty(frequencyPenalty);
    options.setPresence_penalty(presencePenalty);
    options.setPenalty_window(penaltyWindow);
    logitBias.forEach(options::add_bias);
    return options;
  }
}
