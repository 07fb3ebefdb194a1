// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** A request to stop, which any thread may make, before or during the call that it is given to. It stays made. */
public final class Cancel {
  final NativeCancel object;

  /** One that is not made yet. */
  public Cancel() {
    NativeLibrary.load();
    object = new NativeCancel();
  }

  /** Makes the request. */
  public void request() {
    object.request();
  }

  /** Whether it has been made. */
  public boolean isRequested() {
    return object.requested();
  }

  @Override
  public String toString() {
    return isRequested() ? "Cancel[requested]" : "Cancel[not requested]";
  }
}
