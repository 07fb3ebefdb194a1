// SPDX-License-Identifier: MIT
// What tests/bindings/overhead.c measures, in C#: mono Bench.exe MODEL
using System;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using Bitnet;

internal static class Bench {
    private static double Now => Stopwatch.GetTimestamp() * 1e9 / Stopwatch.Frequency;

    private static double Position(Session session) {
        const int count = 100000;
        int sum = 0;
        double start = Now;
        for (int i = 0; i < count; i++) sum += session.Position;
        return (Now - start) / count;
    }

    private static double Detokenize(Model model) {
        const int count = 100000;
        var tokens = new[] { 300 };
        double start = Now;
        for (int i = 0; i < count; i++) model.Detokenize(tokens);
        return (Now - start) / count;
    }

    private static double Token(Session session) {
        const int count = 200;
        session.Rewind();
        session.ResetPerf();
        var options = new GenerateOptions { MaxTokens = count, IgnoreEnd = true };
        double start = Now;
        string.Concat(session.Generate("It was a fine morning, and", options));
        double wall = Now - start;
        Perf perf = session.Perf;
        TimeSpan within = perf.PromptTime + perf.GeneratedTime + perf.SampleTime;
        return (wall - within.Ticks * 100.0) / count;
    }

    private static double Cancel(Session session) {
        var tokens = Enumerable.Repeat(5, session.Context).ToArray();
        session.Rewind();
        using (var source = new CancellationTokenSource()) {
            double asked = 0;
            new Thread(() => {
                Thread.Sleep(200);
                asked = Now;
                source.Cancel();
            }).Start();
            try {
                session.Eval(tokens, LogitsOf.Last, source.Token);
            } catch (OperationCanceledException) {
                return Now - asked;
            }
        }
        throw new InvalidOperationException("the prompt was too short");
    }

    private static void Main(string[] arguments) {
        using (var model = Model.Open(arguments[0]))
        using (var engine = model.CreateEngine(new EngineOptions { Threads = 1 }))
        using (var session = engine.CreateSession(new SessionOptions { Context = 16384 })) {
            var rounds = Enumerable.Range(0, 10);
            Console.WriteLine("position {0:F0}", rounds.Min(_ => Position(session)));
            Console.WriteLine("detokenize {0:F0}", rounds.Min(_ => Detokenize(model)));
            Console.WriteLine("token {0:F0}", rounds.Min(_ => Token(session)));
            Console.WriteLine("cancel {0:F0}", rounds.Max(_ => Cancel(session)));
        }
    }
}
