// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.time.Duration;

/** Counters of a session. */
public final class Perf {
  private final long promptTokens;
  private final Duration promptTime;
  private final long generatedTokens;
  private final Duration generatedTime;
  private final long sampledTokens;
  private final Duration sampleTime;

  Perf(NativePerf perf) {
    promptTokens = perf.getPrompt_tokens();
    promptTime = Duration.ofNanos(perf.getPrompt_ns());
    generatedTokens = perf.getGenerated_tokens();
    generatedTime = Duration.ofNanos(perf.getGenerated_ns());
    sampledTokens = perf.getSampled_tokens();
    sampleTime = Duration.ofNanos(perf.getSample_ns());
  }

  /** Tokens evaluated several at a time. */
  public long promptTokens() {
    return promptTokens;
  }

  /** The time that took. */
  public Duration promptTime() {
    return promptTime;
  }

  /** Tokens evaluated one by one. */
  public long generatedTokens() {
    return generatedTokens;
  }

  /** The time that took. */
  public Duration generatedTime() {
    return generatedTime;
  }

  /** Tokens drawn. */
  public long sampledTokens() {
    return sampledTokens;
  }

  /** The time that took. */
  public Duration sampleTime() {
    return sampleTime;
  }

  @Override
  public String toString() {
    return "Perf[prompt=" + promptTokens + " in " + promptTime + ", generated=" + generatedTokens + " in " + generatedTime
        + ", sampled=" + sampledTokens + " in " + sampleTime + "]";
  }
}
