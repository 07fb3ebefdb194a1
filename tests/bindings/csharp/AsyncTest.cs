// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Bitnet;
using NUnit.Framework;

/// <summary>Generations that no thread waits for.</summary>
[TestFixture]
public class AsyncTest : Fixture {
    private static readonly Lazy<int[]> longPrompt =
        new Lazy<int[]>(() => Austen.Tokenize(string.Concat(Enumerable.Repeat(Prompt, 2500))).Take(19000).ToArray());

    private static async Task<string> Read(Generation generation, CancellationToken token = default(CancellationToken)) {
        Generation.AsyncEnumerator pieces = generation.GetAsyncEnumerator(token);
        try {
            string text = "";
            while (await pieces.MoveNextAsync()) text += pieces.Current;
            Assert.IsFalse(await pieces.MoveNextAsync());
            return text;
        } finally {
            await pieces.DisposeAsync();
        }
    }

    private static GenerateOptions Drawn(int i) {
        return new GenerateOptions { MaxTokens = 10 + i, Sampler = new SamplerOptions { Temperature = 0.8f, Seed = (ulong)i } };
    }

    [Test]
    public async Task ManyAtOnceWriteWhatEachDoesAlone() {
        string[] prompts = Enumerable.Range(0, 24).Select(i => "It was the " + i + "th morning, and").ToArray();
        using (Engine engine = Austen.CreateEngine(new EngineOptions { Threads = 1 })) {
            var expected = new List<string>();
            for (int i = 0; i < prompts.Length; i++) {
                using (Session session = engine.CreateSession(new SessionOptions { Context = 128 })) {
                    expected.Add(Text(session.Generate(prompts[i], Drawn(i))));
                }
            }
            Session[] sessions = prompts.Select(_ => engine.CreateSession(new SessionOptions { Context = 128 })).ToArray();
            string[] texts = await Task.WhenAll(sessions.Select((session, i) => Read(session.Generate(prompts[i], Drawn(i)))));
            CollectionAssert.AreEqual(expected, texts);
            foreach (Session session in sessions) session.Dispose();
        }
    }

    [Test]
    public async Task FormsMayAlternate() {
        using (Session session = NewSession())
        using (Generation generation = session.Generate(Prompt, Max(100))) {
            Generation.AsyncEnumerator waiting = generation.GetAsyncEnumerator();
            string text = "";
            for (int i = 0; i < 3; i++) {
                Assert.IsTrue(await waiting.MoveNextAsync());
                text += waiting.Current;
            }
            Assert.AreEqual(Golden, text + Text(generation));
        }
    }

    [Test]
    public async Task NoThreadWaits() {
        using (Session session = NewSession(20000))
        using (var source = new CancellationTokenSource()) {
            Task<string> reading = Read(session.Generate(longPrompt.Value, Max(1)), source.Token);
            Assert.IsFalse(reading.IsCompleted);
            await Task.Delay(200);
            source.Cancel();
            try {
                await reading;
                Assert.Fail("it was not cancelled");
            } catch (OperationCanceledException exception) {
                Assert.AreEqual(source.Token, exception.CancellationToken);
            }
            session.Rewind();
            session.Eval(new[] { 1, 2, 3 });
            Assert.AreEqual(3, session.Position);
        }
    }

    [Test]
    public async Task OtherMeansCancelAsWell() {
        var actions = new Action<Session, Generation>[] {
            (_, generation) => generation.Cancel(), (_, generation) => generation.Dispose(), (session, _) => session.Dispose(),
            (session, _) => session.Rewind()
        };
        foreach (Action<Session, Generation> action in actions) {
            using (Session session = NewSession(20000)) {
                Generation generation = session.Generate(longPrompt.Value);
                Task<bool> next = generation.GetAsyncEnumerator().MoveNextAsync();
                await Task.Delay(50);
                action(session, generation);
                try {
                    await next;
                    Assert.Fail("it went on");
                } catch (BitnetException exception) {
                    StringAssert.IsMatch("cancelled|is over", exception.Message);
                } catch (ObjectDisposedException exception) {
                    CollectionAssert.Contains(new[] { typeof(Session).FullName, typeof(Generation).FullName }, exception.ObjectName);
                }
            }
        }
    }

    [Test]
    public async Task ErrorsComeOutOfTheTask() {
        using (Session session = NewSession(8)) {
            try {
                await Read(session.Generate(Prompt + Prompt));
                Assert.Fail("the prompt fits");
            } catch (BitnetException exception) {
                Assert.AreEqual(Status.Context, exception.Status);
            }
            Generation generation = session.Generate("It");
            Task<bool> first = generation.GetAsyncEnumerator().MoveNextAsync();
            Assert.IsTrue(await first);
            session.Dispose();
            try {
                await generation.GetAsyncEnumerator().MoveNextAsync();
                Assert.Fail("it went on");
            } catch (ObjectDisposedException exception) {
                Assert.AreEqual(typeof(Session).FullName, exception.ObjectName);
            }
        }
    }
}
