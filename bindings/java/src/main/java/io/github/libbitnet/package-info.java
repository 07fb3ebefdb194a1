// SPDX-License-Identifier: MIT
/**
 * Runs 1.58-bit (ternary) language models on a CPU, inside your program.
 *
 * <pre>{@code
 * try (Model model = Model.open("model.bitnet"); Session session = model.session()) {
 *   for (String text : session.generate("Once upon a time", new GenerateOptions().maxTokens(100))) {
 *     System.out.print(text);
 *   }
 * }
 * }</pre>
 *
 * <p><b>Objects</b> may be used by any thread; calls to one object queue up, and calls of one model run at the same time.
 * Options belong to one thread; they are read when they are given to a call.
 *
 * <p><b>Closing</b> frees memory at once. It may be done twice, or left to the garbage collector, which knows little of
 * the memory outside its heap. What is closed stays closed: using it throws a {@link
 * io.github.libbitnet.BitnetException}. Order does not matter: a session needs its model no longer to be open.
 *
 * <p><b>Interrupting</b> a thread cancels the call that it is in, even in the middle of a long prompt: the call throws a
 * {@link io.github.libbitnet.BitnetException} whose status is {@link io.github.libbitnet.Status#CANCELLED}, and the
 * thread stays interrupted. {@link io.github.libbitnet.Cancel}, {@link io.github.libbitnet.Generation#cancel()} and
 * {@link io.github.libbitnet.Session#close()} do the same from any other thread.
 *
 * <p><b>Null</b> as an option, or in place of options, is the default. Elsewhere it is a {@link
 * java.lang.NullPointerException} that names the argument, where nothing else is said. Text must be valid UTF-16: half of a
 * surrogate pair is an {@link java.lang.IllegalArgumentException}.
 */
package io.github.libbitnet;
