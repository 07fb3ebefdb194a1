// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.util.Locale;

/** Finds the C++ half: the jar's own for this platform, or else the one that the system provides, as on Android. */
final class NativeLibrary {
  private static final String NAME = "bitnet_java";

  private NativeLibrary() {}

  static void load() {
    String file = System.mapLibraryName(NAME);
    String resource = "natives/" + platform() + "/" + file;
    try (InputStream library = NativeLibrary.class.getResourceAsStream(resource)) {
      if (library == null) {
        loadFromSystem(resource);
      } else {
        loadCopy(library, file);
      }
    } catch (IOException e) {
      throw failure("cannot unpack " + resource + " to " + System.getProperty("java.io.tmpdir")
          + " (-Djava.io.tmpdir=... names another folder): " + e.getMessage(), e);
    }
  }

  /** As in the jar's folders: "linux-x86_64", "linux-aarch64", "macos-aarch64", "windows-x86_64". */
  private static String platform() {
    String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    String arch = System.getProperty("os.arch").toLowerCase(Locale.ROOT);
    if (os.startsWith("mac")) os = "macos";
    if (os.startsWith("windows")) os = "windows";
    if (arch.equals("amd64")) arch = "x86_64";
    return os + "-" + arch;
  }

  private static void loadFromSystem(String resource) {
    try {
      System.loadLibrary(NAME);
    } catch (UnsatisfiedLinkError e) {
      throw failure("this jar has no " + resource + ", and the system has none either: " + e.getMessage(), e);
    }
  }

  /** The folder is new and its owner's alone, so that nobody can put another file in this one's place. */
  private static void loadCopy(InputStream library, String name) throws IOException {
    File folder = Files.createTempDirectory("bitnet").toFile();
    File copy = new File(folder, name);
    try {
      // Unlike the channels behind java.nio.file, this stream does not mind that the thread has been interrupted.
      try (OutputStream out = new FileOutputStream(copy)) {
        byte[] buffer = new byte[1 << 16];
        for (int n = library.read(buffer); n >= 0; n = library.read(buffer)) out.write(buffer, 0, n);
      }
      System.load(copy.getPath());
    } finally {
      remove(copy);
      remove(folder);
    }
  }

  /** Now, where the system lets go of a file that is in use, or else when the program ends. */
  private static void remove(File file) {
    if (!file.delete()) file.deleteOnExit();
  }

  private static UnsatisfiedLinkError failure(String message, Throwable cause) {
    UnsatisfiedLinkError error = new UnsatisfiedLinkError(message);
    error.initCause(cause);
    return error;
  }
}
