// SPDX-License-Identifier: MIT
using System;
using System.IO;
using System.Linq;
using Bitnet;
using NUnit.Framework;

/// <summary>What memory a process takes: in a process of its own, where nothing else comes and goes.</summary>
[TestFixture]
[Category("Memory")]
public class MemoryTest : Fixture {
    [Test]
    public void OpeningThousandsOfTimesDoesNotGrow() {
        var options = new SessionOptions { Context = 64 };
        var computing = new EngineOptions { Threads = 1, Batch = 8 };
        Action<int> cycle = times => {
            for (int i = 0; i < times; i++) {
                using (var model = Model.Open(ModelPath))
                using (Engine engine = model.CreateEngine(computing))
                using (Session session = engine.CreateSession(options)) {
                    Text(session.Generate("It", Max(1)));
                }
            }
        };
        // A leak grows in each round, for ever. What malloc and the runtime keep for themselves grows ever less.
        cycle(500);
        long least = long.MaxValue;
        for (int round = 0; round < 16 && least >= 2 << 20; round++) {
            long before = ResidentBytes();
            cycle(500);
            least = Math.Min(least, ResidentBytes() - before);
        }
        Console.WriteLine("500 cycles: {0} KiB", least / 1024);
        Assert.Less(least, 2 << 20);
    }

    // An engine of two threads has one of its own, which ends with its sessions.
    [Test]
    public void WhatIsForgottenIsCollected() {
        const int count = 40;
        var kept = new Session[count];
        Action<bool> open = keep => {
            for (int i = 0; i < count; i++) {
                Model model = Model.Open(ModelPath, new OpenOptions { Log = (_, __) => {} });
                Engine engine = model.CreateEngine(new EngineOptions { Threads = 2 });
                Session session = engine.CreateSession(new SessionOptions { Context = 64 });
                session.Generate("It", Max(3)).First();
                if (keep) kept[i] = session;
            }
        };
        open(true);
        int before = Threads();
        Assert.GreaterOrEqual(before, count);
        Array.Clear(kept, 0, count);
        open(false);
        Collect();
        Assert.Less(Threads(), before - count / 2);
    }

    private static int Threads() => Directory.GetDirectories("/proc/self/task").Length;
}
