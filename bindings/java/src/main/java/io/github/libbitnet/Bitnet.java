// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** Files, and what the library tells of itself. */
public final class Bitnet {
  private Bitnet() {}

  /** The library's version, "0.1.0". */
  public static String version() {
    return Text.decode(Native.version());
  }

  /** The CPU's vector features that matter here. */
  public static List<String> cpuFeatures() {
    return Collections.unmodifiableList(Arrays.asList(Text.decode(Native.cpu_features()).split(" ")));
  }

  /** The kernel sets that this CPU can run, fastest first. */
  public static List<String> isaNames() {
    List<String> names = new ArrayList<>();
    for (byte[] name : Native.isa_names()) names.add(Text.decode(name));
    return Collections.unmodifiableList(names);
  }

  /** Writes a GGUF or {@code .bitnet} file as {@code .bitnet}; the output appears when it is complete. */
  public static void convert(Path source, Path target) {
    convert(source, target, new ConvertOptions());
  }

  /** The same with options. */
  public static void convert(Path source, Path target, ConvertOptions options) {
    byte[] input = Text.encode(source.toString());
    byte[] output = Text.encode(target.toString());
    Listener listener = options.listener();
    listener.during(() -> Native.convert(input, output, options.toNative(), listener));
  }

  /** Reads a whole {@code .bitnet} file and checks every checksum, packed weight and scale. */
  public static void verify(Path path) {
    verify(path, null);
  }

  /** The same with a progress callback, or null. */
  public static void verify(Path path, Progress progress) {
    byte[] name = Text.encode(path.toString());
    Listener listener = new Listener(progress, null);
    listener.during(() -> Native.verify(name, listener));
  }
}
