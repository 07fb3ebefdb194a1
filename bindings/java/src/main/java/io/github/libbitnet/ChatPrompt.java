// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** The latest prompt of a chat, also one that was refused. Numbers are 0 before the first. */
public final class ChatPrompt {
  private final long leftOut;
  private final long leftOutFrom;
  private final int tokens;
  private final int tokensNeeded;

  ChatPrompt(NativeChatPrompt prompt) {
    leftOut = prompt.getLeft_out();
    leftOutFrom = prompt.getLeft_out_from();
    tokens = prompt.getTokens();
    tokensNeeded = prompt.getTokens_needed();
  }

  /** How many messages were left out of it. */
  public long leftOut() {
    return leftOut;
  }

  /** The first of these, in the history as it was then; they stand side by side. */
  public long leftOutFrom() {
    return leftOutFrom;
  }

  /** Tokens that it has. */
  public int tokens() {
    return tokens;
  }

  /** Tokens of context that it and the room for the reply take. */
  public int tokensNeeded() {
    return tokensNeeded;
  }

  @Override
  public String toString() {
    return "ChatPrompt[" + tokens + " tokens, " + leftOut + " messages left out]";
  }
}
