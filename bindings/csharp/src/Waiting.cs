// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace Bitnet {

/// <summary>How tasks wait for pieces of text: one thread does it for all of them. It ends when nobody has waited for a
/// while.</summary>
internal static class Waiting {
    private const uint IdleMilliseconds = 500;
    private static readonly object mutex = new object();  // guards what follows
    private static readonly Dictionary<ulong, TaskCompletionSource<bool>> waiting =
        new Dictionary<ulong, TaskCompletionSource<bool>>();
    private static Native.Queue queue;
    private static ulong last;

    /// <summary>What is done when a generation's next piece is there, its end or an error.</summary>
    /// <param name="submit">Submits the generation to a queue, under a number.</param>
    internal static Task Next(Action<Native.Queue, ulong> submit) {
        var ready = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        Native.Queue to;
        ulong number;
        lock (mutex) {
            if (queue == null) {
                queue = new Native.Queue();
                new Thread(Run) { IsBackground = true, Name = "bitnet-waiting" }.Start(queue);
            }
            to = queue;
            number = ++last;
            waiting.Add(number, ready);
        }
        try {
            submit(to, number);
        } catch {
            lock (mutex) waiting.Remove(number);
            throw;
        }
        return ready.Task;
    }

    private static void Run(object where) {
        var own = (Native.Queue)where;
        while (true) {
            ulong number = own.next(IdleMilliseconds);
            TaskCompletionSource<bool> ready;
            lock (mutex) {
                if (number == 0 && waiting.Count == 0) {
                    queue = null;
                    break;
                }
                if (!waiting.TryGetValue(number, out ready)) continue;  // told already
                waiting.Remove(number);
            }
            ready.SetResult(true);
        }
        own.Dispose();
    }
}

}
