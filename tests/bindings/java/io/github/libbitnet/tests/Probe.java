// SPDX-License-Identifier: MIT
package io.github.libbitnet.tests;

import io.github.libbitnet.Bitnet;
import io.github.libbitnet.Cancel;
import io.github.libbitnet.Model;
import io.github.libbitnet.OpenOptions;
import io.github.libbitnet.Sampler;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.List;

/** Every way into the package, one after the other, in a process of its own: what NativeLibraryTest looks at. */
final class Probe {
  private Probe() {}

  public static void main(String[] args) {
    OpenOptions options = new OpenOptions();
    List<Runnable> ways = Arrays.asList(Bitnet::version, Bitnet::isaNames, Bitnet::cpuFeatures, Bitnet::chatTemplateNames,
        () -> Model.open(args[0], options).close(), Sampler::new, Cancel::new, () -> Bitnet.verify(Paths.get(args[0])),
        Bitnet::version);
    for (Runnable way : ways) {
      try {
        way.run();
        System.out.println("fine");
      } catch (Throwable e) {
        System.out.println(e);
      }
    }
  }
}
