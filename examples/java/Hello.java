// SPDX-License-Identifier: MIT

import io.github.libbitnet.BitnetException;
import io.github.libbitnet.GenerateOptions;
import io.github.libbitnet.Model;
import io.github.libbitnet.Session;

/**
 * The smallest complete program: the model goes on with your text.
 *
 * <pre>
 * mvn package
 * java -cp target/hello.jar:bitnet-0.2.0.jar Hello model.bitnet "It was a fine morning, and"
 * </pre>
 */
final class Hello {
  public static void main(String[] args) {
    if (args.length != 2) {
      System.err.println("usage: Hello MODEL PROMPT");
      System.exit(2);
    }
    try (Model model = Model.open(args[0]); Session session = model.session()) {
      for (String text : session.generate(args[1], new GenerateOptions().maxTokens(100))) {
        System.out.print(text);
        System.out.flush();
      }
      System.out.println();
    } catch (BitnetException e) {
      System.err.println("Hello: " + e.getMessage());
      System.exit(1);
    }
  }
}
