// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** A request to stop, which any thread may make, before or during the call that it is given to. It stays made. */
public final class Cancel {
  final NativeCancel object = new NativeCancel();

  /** Makes the request. */
  public void request() {
    object.request();
  }

  /** Whether it has been made. */
  public boolean isRequested() {
    return object.requested();
  }
}
