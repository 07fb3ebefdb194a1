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

  /** The library's version, "0.2.0". */
  public static String version() {
    NativeLibrary.load();
    return Text.decode(Native.version());
  }

  /** The CPU's vector features that matter here. */
  public static List<String> cpuFeatures() {
    NativeLibrary.load();
    return Collections.unmodifiableList(Arrays.asList(Text.decode(Native.cpu_features()).split(" ")));
  }

  /** The kernel sets that this CPU can run, fastest first. */
  public static List<String> isaNames() {
    NativeLibrary.load();
    return texts(Native.isa_names());
  }

  /** The names of the known chat templates, "chatml", "llama3", ..., for {@link OpenOptions#chatTemplate}. */
  public static List<String> chatTemplateNames() {
    NativeLibrary.load();
    return texts(Native.chat_template_names());
  }

  private static List<String> texts(byte[][] utf8) {
    List<String> texts = new ArrayList<>();
    for (byte[] text : utf8) texts.add(Text.decode(text));
    return Collections.unmodifiableList(texts);
  }

  /** Writes a GGUF or {@code .bitnet} file as {@code .bitnet}; the output appears when it is complete. */
  public static void convert(Path source, Path target) {
    convert(source, target, new ConvertOptions());
  }

  /** The same with options, or null. */
  public static void convert(Path source, Path target, ConvertOptions options) {
    byte[] input = Text.encode(source, "source");
    byte[] output = Text.encode(target, "target");
    NativeLibrary.load();
    ConvertOptions given = Text.or(options, new ConvertOptions());
    Listener listener = given.listener();
    listener.during(() -> Native.convert(input, output, given.toNative(), listener));
  }

  /** Reads a whole {@code .bitnet} file and checks every checksum, packed weight and scale. */
  public static void verify(Path path) {
    verify(path, null);
  }

  /** The same with a progress callback, or null. */
  public static void verify(Path path, Progress progress) {
    byte[] name = Text.encode(path, "path");
    NativeLibrary.load();
    Listener listener = new Listener(progress, null);
    listener.during(() -> Native.verify(name, listener));
  }

  /**
   * Compares a {@code .bitnet} file with what it was converted from. Throws with the first difference if it is not
   * lossless.
   */
  public static void verifyAgainst(Path path, Path original) {
    verifyAgainst(path, original, null);
  }

  /** The same with a progress callback, or null. */
  public static void verifyAgainst(Path path, Path original, Progress progress) {
    byte[] name = Text.encode(path, "path");
    byte[] origin = Text.encode(original, "original");
    NativeLibrary.load();
    Listener listener = new Listener(progress, null);
    listener.during(() -> Native.verify_against(name, origin, listener));
  }
}
