// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.Objects;

/** How a conversation is held. */
public final class ChatOptions {
  private boolean trust;
  private boolean plain;
  private ChatFit fit = ChatFit.DROP_OLDEST;
  private int reserve;

  /** Control tokens spelt out in contents are those tokens. Never for text from strangers. */
  public ChatOptions trust(boolean trust) {
    this.trust = trust;
    return this;
  }

  /** Where the model has no template, a conversation is plain text that it goes on with. */
  public ChatOptions plain(boolean plain) {
    this.plain = plain;
    return this;
  }

  /** What is done about a history that leaves too little room for a reply. */
  public ChatOptions fit(ChatFit fit) {
    this.fit = Objects.requireNonNull(fit, "fit");
    return this;
  }

  /**
   * Tokens of the context that a prompt leaves free for the reply; 0: the reply's {@code maxTokens}, or 256, but no more than
   * a quarter of the context.
   */
  public ChatOptions reserve(int reserve) {
    this.reserve = Text.count(reserve, "reserve");
    return this;
  }

  NativeChat toNative(NativeSession session) {
    int flags = (trust ? NativeConstants.BITNET_CHAT_TRUST : 0) | (plain ? NativeConstants.BITNET_CHAT_PLAIN : 0);
    return new NativeChat(session, flags, fit.value, reserve);
  }
}
