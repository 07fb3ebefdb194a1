// SPDX-License-Identifier: MIT
package io.github.libbitnet.tests;

import static io.github.libbitnet.tests.Fixtures.MODEL;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.libbitnet.Bitnet;
import io.github.libbitnet.Model;
import java.io.IOException;
import java.io.InputStream;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where the native half is found, and what is said where it is not. */
class NativeLibraryTest {
  private static final String FILE = System.mapLibraryName("bitnet_java");
  @TempDir Path folder;
  private Path nowhere; // where nothing can be unpacked, not even by root

  @BeforeEach
  void makeNowhere() throws IOException {
    nowhere = Files.createFile(folder.resolve("file")).resolve("below");
  }

  private static String location(Class<?> type) throws URISyntaxException {
    return Paths.get(type.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
  }

  private static List<String> command(String... options) throws URISyntaxException {
    return commandFor(location(Model.class), options);
  }

  private static List<String> commandFor(String classes, String... options) throws URISyntaxException {
    List<String> command = new ArrayList<>();
    command.add(Paths.get(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(Arrays.asList(options));
    command.addAll(Arrays.asList("-XX:+DisplayVMOutputToStderr", "-cp", classes + ":" + location(Probe.class),
        Probe.class.getName(), MODEL.toString()));
    return command;
  }

  private static Process start(List<String> command) throws IOException {
    return start(new ProcessBuilder(command));
  }

  private static Process start(ProcessBuilder builder) throws IOException {
    return builder.redirectError(ProcessBuilder.Redirect.DISCARD).start();
  }

  private static List<String> lines(Process process) throws IOException, InterruptedException {
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return Arrays.asList(text.split("\n"));
  }

  private static void assertFine(List<String> lines) {
    assertEquals(9, lines.size(), lines.toString());
    assertTrue(lines.stream().allMatch("fine"::equals), lines.toString());
  }

  /** However the package is entered, and the second time as well, the error is the same and says all of this. */
  private static void assertFails(List<String> lines, String... parts) {
    assertEquals(9, lines.size(), lines.toString());
    for (String line : lines) {
      assertTrue(line.startsWith("java.lang.UnsatisfiedLinkError: cannot load " + FILE), line);
      for (String part : parts) assertTrue(line.contains(part), "no \"" + part + "\" in: " + line);
    }
  }

  private static String unpackTo(Path folder) {
    return "-Dio.github.libbitnet.dir=" + folder;
  }

  private static String lookIn(Path folder) {
    return "-Djava.library.path=" + folder;
  }

  private static long count(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.count();
    }
  }

  private static String processor() {
    return System.getProperty("os.arch").replace("amd64", "x86_64");
  }

  /** The classes without any library, in a folder of their own. */
  private Path classesAlone() throws IOException, URISyntaxException {
    Path source = Paths.get(location(Model.class), "io", "github", "libbitnet");
    Path classes = folder.resolve("classes");
    Path copies = Files.createDirectories(classes.resolve("io").resolve("github").resolve("libbitnet"));
    try (DirectoryStream<Path> files = Files.newDirectoryStream(source, "*.class")) {
      for (Path file : files) Files.copy(file, copies.resolve(file.getFileName()));
    }
    return classes;
  }

  /** The library of these classes with every occurrence of one text replaced by another one of the same length. */
  private Path patched(String text, String other) throws IOException {
    String name = "natives/linux-" + processor() + "/" + FILE;
    byte[] bytes;
    try (InputStream library = Model.class.getResourceAsStream(name)) {
      bytes = library.readAllBytes();
    }
    String changed = new String(bytes, StandardCharsets.ISO_8859_1).replace("\0" + text + "\0", "\0" + other + "\0");
    Path where = Files.createDirectory(folder.resolve("patched"));
    Files.write(where.resolve(FILE), changed.getBytes(StandardCharsets.ISO_8859_1));
    return where;
  }

  @Test
  void severalProcessesUnpackAtOnceAndLeaveNothing() throws Exception {
    Path fresh = folder.resolve("new").resolve("folder ä");
    List<Process> processes = new ArrayList<>();
    for (int i = 0; i < 4; i++) processes.add(start(command(unpackTo(fresh))));
    for (Process process : processes) assertFine(lines(process));
    assertEquals(0, count(fresh));
  }

  @Test
  void aFolderThatCannotBeUnpackedToIsNamed() throws Exception {
    assertFails(lines(start(command(unpackTo(nowhere)))), "to " + nowhere, "Not a directory", "-Dio.github.libbitnet.dir=");
    assertFails(lines(start(command("-Djava.io.tmpdir=" + nowhere))), "to " + nowhere, "-Dio.github.libbitnet.dir=");
  }

  /** What the probe prints that unpacks to a file system mounted with these options, where it leaves nothing. */
  private static List<String> unpackedTo(Path mounted, String options) throws Exception {
    List<String> inside = Arrays.asList("unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
        "mount -t tmpfs -o " + options + " none \"$0\" && \"$@\" && ls -A \"$0\"", mounted.toString());
    List<String> mount = new ArrayList<>(inside);
    mount.add("true");
    assumeTrue(start(mount).waitFor() == 0, "this system lets nobody mount a file system");
    List<String> all = new ArrayList<>(inside);
    all.addAll(command(unpackTo(mounted)));
    return lines(start(all));
  }

  @Test
  void noexecIsNamed() throws Exception {
    Path mounted = Files.createDirectory(folder.resolve("noexec"));
    assertFails(unpackedTo(mounted, "noexec"), mounted + "/bitnet", FILE + " (unpacked from the jar)",
        mounted + " is mounted noexec", "-Dio.github.libbitnet.dir=", "-Djava.library.path=");
  }

  @Test
  void aFullFileSystemIsNamed() throws Exception {
    Path mounted = Files.createDirectory(folder.resolve("full"));
    assertFails(unpackedTo(mounted, "size=64k"), "to " + mounted, "No space left on device", "-Dio.github.libbitnet.dir=");
  }

  @Test
  void theLibraryPathComesFirst() throws Exception {
    Path own = patched("no such text", "no such text");
    assertFine(lines(start(command(unpackTo(nowhere), lookIn(own)))));
  }

  @Test
  void aJarWithoutTheLibraryAsksTheSystem() throws Exception {
    String classes = classesAlone().toString();
    assertFails(lines(start(commandFor(classes, lookIn(folder)))), "this jar has no natives/", "the system has none either",
        folder.toString());
    assertFine(lines(start(commandFor(classes, lookIn(patched("no such text", "no such text"))))));
  }

  @Test
  void aProcessorThatTheJarIsNotForIsNamed() throws Exception {
    assertFails(lines(start(command("-Dos.arch=riscv64", lookIn(folder)))), "this jar has no natives/linux-riscv64/" + FILE,
        "the system has none either");
  }

  /** What runs on musl has its loader in memory. Here that is any library, by the loader's name. */
  @Test
  void onMuslItsOwnLibraryIsTaken() throws Exception {
    Path classes = classesAlone();
    Path library = patched("no such text", "no such text").resolve(FILE);
    Path loader = Files.copy(library, folder.resolve("ld-musl-" + processor() + ".so.1"));
    ProcessBuilder onMusl = new ProcessBuilder(commandFor(classes.toString(), lookIn(folder)));
    onMusl.environment().put("LD_PRELOAD", loader.toString());
    String name = "natives/linux-musl-" + processor() + "/" + FILE;
    assertFails(lines(start(onMusl)), "this jar has no " + name, "the system has none either");
    Path place = classes.resolve("io").resolve("github").resolve("libbitnet").resolve(name);
    Files.createDirectories(place.getParent());
    Files.copy(library, place);
    assertFine(lines(start(onMusl)));
  }

  @Test
  void aMissingSystemLibraryIsNamed() throws Exception {
    Path broken = patched("libc.so.6", "libc.so.x");
    assertFails(lines(start(command(unpackTo(nowhere), lookIn(broken)))), broken.resolve(FILE).toString(),
        "the system lacks libc.so.x", "to " + nowhere);
    assertFine(lines(start(command(unpackTo(folder), lookIn(broken)))));
  }

  @Test
  void aLibraryOfAnotherVersionIsNotUsed() throws Exception {
    Path other = patched(Bitnet.version(), Bitnet.version().replaceAll("\\d", "9"));
    String said = "of version " + Bitnet.version().replaceAll("\\d", "9") + ", these classes of " + Bitnet.version();
    assertFails(lines(start(command(unpackTo(nowhere), lookIn(other)))), other.resolve(FILE).toString(), said);
    assertFine(lines(start(command(unpackTo(folder), lookIn(other)))));
  }

  @Test
  void whatIsNoLibraryIsNamed() throws Exception {
    Path bad = Files.createDirectory(folder.resolve("bad"));
    Files.write(bad.resolve(FILE), "no library".getBytes(StandardCharsets.UTF_8));
    assertFails(lines(start(command(unpackTo(nowhere), lookIn(bad)))), bad.resolve(FILE).toString(), "too short");
  }
}
