// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** Counters of a session. */
public final class Perf {
  private final long promptTokens;
  private final long promptNs;
  private final long generatedTokens;
  private final long generatedNs;
  private final long sampledTokens;
  private final long sampleNs;

  Perf(NativePerf perf) {
    promptTokens = perf.getPrompt_tokens();
    promptNs = perf.getPrompt_ns();
    generatedTokens = perf.getGenerated_tokens();
    generatedNs = perf.getGenerated_ns();
    sampledTokens = perf.getSampled_tokens();
    sampleNs = perf.getSample_ns();
  }

  /** Tokens evaluated several at a time. */
  public long promptTokens() {
    return promptTokens;
  }

  /** Nanoseconds that took. */
  public long promptNs() {
    return promptNs;
  }

  /** Tokens evaluated one by one. */
  public long generatedTokens() {
    return generatedTokens;
  }

  /** Nanoseconds that took. */
  public long generatedNs() {
    return generatedNs;
  }

  /** Tokens drawn. */
  public long sampledTokens() {
    return sampledTokens;
  }

  /** Nanoseconds that took. */
  public long sampleNs() {
    return sampleNs;
  }
}
