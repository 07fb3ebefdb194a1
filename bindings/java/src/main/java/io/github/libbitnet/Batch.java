// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** {@link Session#eval} for several sessions of one model in one pass over the weights. */
public final class Batch {
  private static final class Item {
    final Session session;
    final int[] tokens;
    final LogitsOf logits;

    Item(Session session, int[] tokens, LogitsOf logits) {
      this.session = Objects.requireNonNull(session, "session");
      this.tokens = Objects.requireNonNull(tokens, "tokens").clone();
      this.logits = Objects.requireNonNull(logits, "logits");
    }
  }

  private final List<Item> items = new ArrayList<>();

  /** Tokens for a session, with the logits of the last one. */
  public Batch add(Session session, int... tokens) {
    return add(session, tokens, LogitsOf.LAST);
  }

  /** The same with the logits of the last token, of all or of none. */
  public Batch add(Session session, int[] tokens, LogitsOf logits) {
    items.add(new Item(session, tokens, logits));
    return this;
  }

  /** Evaluates all of them. If one of them cannot be evaluated, nothing is. */
  public void eval() {
    eval(null);
  }

  /** The same with a way to cancel it, or null. */
  public void eval(Cancel cancel) {
    NativeBatch batch = new NativeBatch();
    for (Item item : items) batch.add(item.session.object, item.tokens, item.logits.value);
    batch.eval(cancel == null ? null : cancel.object);
  }

  @Override
  public String toString() {
    return "Batch[" + items.size() + " sessions]";
  }
}
