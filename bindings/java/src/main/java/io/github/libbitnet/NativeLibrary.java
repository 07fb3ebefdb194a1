// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Finds the C++ half: a file in a folder of {@code java.library.path}, or else the jar's own for this platform, or else
 * the one that the system provides, as on Android.
 */
final class NativeLibrary {
  /** Names the folder to unpack to, in place of {@code java.io.tmpdir}. */
  private static final String FOLDER = "io.github.libbitnet.dir";

  private static final String NAME = "bitnet_java";
  private static final String FILE = System.mapLibraryName(NAME);
  private static final Pattern MISSING = Pattern.compile(
      "([^\\s:/]+): cannot open shared object file|Error loading shared library ([^\\s:/]+):");

  private static boolean loaded;

  private NativeLibrary() {}

  /**
   * Loads the library, once it has been found. Every way into this package calls this before it touches a generated
   * class: from within the initialisation of a class the first error would make that class unusable, and all later calls
   * would fail with an error that tells nothing.
   */
  static synchronized void load() {
    if (loaded) return;
    List<UnsatisfiedLinkError> failures = new ArrayList<>();
    loaded = loadFromPath(failures) || loadOwn(failures);
    if (loaded) return;
    StringBuilder message = new StringBuilder("cannot load " + FILE + ", the native half of libbitnet");
    for (UnsatisfiedLinkError failure : failures) message.append("; ").append(failure.getMessage());
    UnsatisfiedLinkError error = new UnsatisfiedLinkError(message.toString());
    for (UnsatisfiedLinkError failure : failures) error.addSuppressed(failure);
    throw error;
  }

  /** Called by C++ while it is loaded. */
  static void checkVersion(byte[] version) {
    String other = Text.decode(version);
    String mine = NativeConstants.BITNET_VERSION_MAJOR + "." + NativeConstants.BITNET_VERSION_MINOR + "."
        + NativeConstants.BITNET_VERSION_PATCH;
    if (!other.equals(mine)) {
      throw new UnsatisfiedLinkError("it is of version " + other + ", these classes of " + mine);
    }
  }

  private static boolean loadFromPath(List<UnsatisfiedLinkError> failures) {
    for (String folder : System.getProperty("java.library.path", "").split(File.pathSeparator)) {
      File file = new File(folder, FILE).getAbsoluteFile();
      if (folder.isEmpty() || !file.isFile()) continue;
      try {
        systemLoad(file);
        return true;
      } catch (UnsatisfiedLinkError e) {
        failures.add(failure(file + " (found by java.library.path): " + explain(e, file, false, file.getParentFile()), e));
      }
    }
    return false;
  }

  private static boolean loadOwn(List<UnsatisfiedLinkError> failures) {
    String resource = "natives/" + platform() + "/" + FILE;
    File parent = new File(System.getProperty(FOLDER, System.getProperty("java.io.tmpdir", "."))).getAbsoluteFile();
    try (InputStream library = NativeLibrary.class.getResourceAsStream(resource)) {
      if (library == null) {
        loadFromSystem(resource);
      } else {
        loadCopy(library, parent);
      }
      return true;
    } catch (IOException e) {
      failures.add(failure("cannot unpack " + resource + " to " + parent + " (" + e + "): -D" + FOLDER
          + "=... names another folder", e));
    } catch (UnsatisfiedLinkError e) {
      failures.add(e);
    }
    return false;
  }

  private static void loadFromSystem(String resource) {
    try {
      System.loadLibrary(NAME);
    } catch (UnsatisfiedLinkError e) {
      throw failure("this jar has no " + resource + ", and the system has none either: " + e.getMessage(), e);
    }
  }

  /** As in the jar's folders: "linux-x86_64", "linux-musl-aarch64", "macos-aarch64", "windows-x86_64". */
  private static String platform() {
    String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    String arch = System.getProperty("os.arch").toLowerCase(Locale.ROOT);
    if (os.startsWith("mac")) os = "macos";
    if (os.startsWith("windows")) os = "windows";
    if (os.equals("linux") && usesMusl()) os = "linux-musl";
    if (arch.equals("amd64")) arch = "x86_64";
    return os + "-" + arch;
  }

  /** Whether the C library that this program runs on is musl, as on Alpine. */
  private static boolean usesMusl() {
    try (Stream<String> maps = Files.lines(Paths.get("/proc/self/maps"), StandardCharsets.ISO_8859_1)) {
      return maps.anyMatch(line -> line.contains("/ld-musl-"));
    } catch (IOException | UncheckedIOException e) {
      return false;
    }
  }

  /**
   * The folder is new and its owner's alone, so that nobody can put another file in this one's place, and no other
   * process sees a file that is half written.
   */
  private static void loadCopy(InputStream library, File parent) throws IOException {
    Files.createDirectories(parent.toPath());
    File folder = Files.createTempDirectory(parent.toPath(), "bitnet").toFile();
    File copy = new File(folder, FILE);
    try {
      // Unlike the channels behind java.nio.file, this stream does not mind that the thread has been interrupted.
      try (OutputStream out = new FileOutputStream(copy)) {
        byte[] buffer = new byte[1 << 16];
        for (int n = library.read(buffer); n >= 0; n = library.read(buffer)) out.write(buffer, 0, n);
      }
      load(copy, parent);
    } finally {
      remove(copy);
      remove(folder);
    }
  }

  private static void load(File copy, File parent) {
    try {
      systemLoad(copy);
    } catch (UnsatisfiedLinkError e) {
      // On a file system that is mounted noexec nobody may execute a file, whatever its mode.
      boolean noexec = copy.setExecutable(true) && !copy.canExecute();
      throw failure(copy + " (unpacked from the jar): " + explain(e, copy, noexec, parent), e);
    }
  }

  private static void systemLoad(File file) {
    try {
      System.load(file.getPath());
    } catch (RuntimeException e) {
      // IllegalCallerException, which Android does not know.
      throw failure(e.getMessage() + " (--enable-native-access=ALL-UNNAMED lets Java load it, or"
          + " --enable-native-access=io.github.libbitnet where this jar is on the module path)", e);
    }
  }

  /** What the system says, and what to do about it. */
  private static String explain(UnsatisfiedLinkError e, File file, boolean noexec, File folder) {
    String said = String.valueOf(e.getMessage());
    while (said.startsWith(file + ": ")) said = said.substring(file.getPath().length() + 2);
    Matcher missing = MISSING.matcher(said);
    if (missing.find()) {
      String name = missing.group(1) != null ? missing.group(1) : missing.group(2);
      return said + " (the system lacks " + name + ": install the package that has it)";
    }
    if (noexec || said.contains("failed to map segment")) {
      return said + " (the file system of " + folder + (noexec ? " is" : " may be") + " mounted noexec: -D" + FOLDER
          + "=... names another folder to unpack to, -Djava.library.path=... one where the library lies already)";
    }
    return said;
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
