// SPDX-License-Identifier: MIT

import io.github.libbitnet.BitnetException;
import io.github.libbitnet.GenerateOptions;
import io.github.libbitnet.Model;
import io.github.libbitnet.Session;
import io.github.libbitnet.SessionOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;

/**
 * Serves many clients from one model: each sends a line, and gets the text that the model goes on with. Each has a thread, on
 * Java 21 and newer a virtual one, which has no thread of the system while it waits for its text.
 *
 * <pre>
 * mvn package
 * java -cp target/hello.jar:bitnet-0.2.0.jar Serve model.bitnet 7500 &amp;
 * echo "It was a fine morning, and" | nc 127.0.0.1 7500
 * </pre>
 */
final class Serve {
  private static final int CLIENTS = 16; // at once; others wait
  private static final int TOKENS = 100;

  private static ExecutorService threads() {
    try {
      return (ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
    } catch (ReflectiveOperationException e) {
      return Executors.newCachedThreadPool();
    }
  }

  private static void answer(Model model, Socket socket, Semaphore places) {
    places.acquireUninterruptibly();
    try (Socket client = socket; Session session = model.session(new SessionOptions().context(512))) {
      InputStreamReader in = new InputStreamReader(client.getInputStream(), StandardCharsets.UTF_8);
      String prompt = new BufferedReader(in).readLine();
      OutputStream out = client.getOutputStream();
      for (String text : session.generate(prompt == null ? "" : prompt, new GenerateOptions().maxTokens(TOKENS))) {
        out.write(text.getBytes(StandardCharsets.UTF_8));
      }
    } catch (IOException | BitnetException e) {
      // A client that has gone, for one; closing the session has ended its generation.
      System.err.println(e.getMessage());
    } finally {
      places.release();
    }
  }

  public static void main(String[] args) throws IOException {
    if (args.length != 2) {
      System.err.println("usage: Serve MODEL PORT");
      System.exit(2);
    }
    Semaphore places = new Semaphore(CLIENTS);
    ExecutorService threads = threads();
    try (Model model = Model.open(args[0]);
        ServerSocket server = new ServerSocket(Integer.parseInt(args[1]), 50, InetAddress.getLoopbackAddress())) {
      System.out.println("port " + server.getLocalPort());
      while (true) {
        Socket client = server.accept();
        threads.execute(() -> answer(model, client, places));
      }
    }
  }
}
