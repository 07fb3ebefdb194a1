// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Bitnet;
using NUnit.Framework;

/// <summary>Sessions: evaluation, sampling, generation, state, threads, cancellation, wrong use.</summary>
[TestFixture]
public class SessionTest : Fixture {
    private sealed class Mine : Exception {}

    // More tokens than one thread computes in some seconds.
    private static readonly Lazy<int[]> longPrompt = new Lazy<int[]>(
        () => Austen.Tokenize(string.Concat(Enumerable.Repeat(Prompt, 2500))).Take(19000).ToArray());

    private static Session LongSession() => NewSession(20000);

    private static TimeSpan ProcessorTime() {
        using (Process self = Process.GetCurrentProcess()) return self.TotalProcessorTime;
    }

    // Does action while call is at work, which then throws: after 100 ms of processor time at most, whatever else the
    // machine does.
    private static void Interrupts<T>(Action action, TestDelegate call) where T : Exception {
        TimeSpan begun = ProcessorTime(), asked = default(TimeSpan);
        Task other = Task.Run(() => {
            Thread.Sleep(300);
            asked = ProcessorTime();
            action();
        });
        Assert.Catch<T>(call);
        TimeSpan back = ProcessorTime();
        other.Wait();
        Assert.Greater(asked, begun, "the call ended by itself");
        Assert.Less(back - asked, TimeSpan.FromMilliseconds(100));
    }

    private static string Sampled(SamplerOptions options) {
        using (Session session = NewSession()) {
            return Text(session.Generate(Prompt, new GenerateOptions { MaxTokens = 20, Sampler = options }));
        }
    }

    [Test]
    public void GeneratesWhatCDoes() {
        using (Session session = NewSession()) {
            Generation generation = session.Generate(Prompt, Max(100));
            Assert.IsNull(generation.Finish);
            Assert.AreEqual(Golden, Text(generation));
            Assert.AreEqual(Finish.MaxTokens, generation.Finish);
            Assert.AreEqual(100, generation.Tokens.Count);
            CollectionAssert.AreEqual(generation.Tokens, session.GetTokens().Skip(session.Position - 100));
            CollectionAssert.IsEmpty(generation);
        }
    }

    [Test]
    public void GeneratesFromTokens() {
        using (Session session = NewSession()) {
            Assert.AreEqual(Golden, Text(session.Generate(Austen.Tokenize(Prompt, bosEos: true), Max(100))));
        }
    }

    [Test]
    public async Task GeneratesAsynchronously() {
        using (Session session = NewSession()) {
            Generation generation = session.Generate(Prompt, Max(100));
            Generation.AsyncEnumerator pieces = generation.GetAsyncEnumerator();
            string text = "";
            while (await pieces.MoveNextAsync()) text += pieces.Current;
            await pieces.DisposeAsync();
            Assert.AreEqual(Golden, text);
            Assert.AreEqual(Finish.MaxTokens, generation.Finish);
        }
    }

    [Test]
    public void SamplingOptionsArePassedOn() {
        string greedy = Sampled(new SamplerOptions());
        string drawn = Sampled(new SamplerOptions { Temperature = 1, Seed = 1 });
        Assert.AreEqual(drawn, Sampled(new SamplerOptions { Temperature = 1, Seed = 1 }));
        Assert.AreNotEqual(drawn, Sampled(new SamplerOptions { Temperature = 1, Seed = 2 }));
        Assert.AreEqual(greedy, Sampled(new SamplerOptions { Temperature = 1, Seed = 1, TopK = 1 }));
        Assert.AreEqual(greedy, Sampled(new SamplerOptions { Temperature = 1, Seed = 1, TopP = 1e-9f }));
        Assert.AreEqual(greedy, Sampled(new SamplerOptions { Temperature = 1, Seed = 1, MinP = 1 }));
        Assert.AreNotEqual(greedy, Sampled(new SamplerOptions { FrequencyPenalty = 1.9f }));
        Assert.AreNotEqual(greedy, Sampled(new SamplerOptions { PresencePenalty = 1.9f }));
        string penalized = Sampled(new SamplerOptions { RepetitionPenalty = 1.9f });
        Assert.AreNotEqual(greedy, penalized);
        Assert.AreNotEqual(penalized, Sampled(new SamplerOptions { RepetitionPenalty = 1.9f, PenaltyWindow = 1 }));
        int first = Austen.Tokenize(greedy)[0];
        var forbidden = new Dictionary<int, float> { { first, float.NegativeInfinity } };
        Assert.AreNotEqual(greedy, Sampled(new SamplerOptions { LogitBias = forbidden }));
        StringAssert.Contains("temperature", Fails(Status.Argument, () => Sampled(
            new SamplerOptions { Temperature = -1 })).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => Sampled(new SamplerOptions { TopK = -1 }));
    }

    [Test]
    public void StopStringsEndTheText() {
        using (Session session = NewSession()) {
            Generation generation = session.Generate(
                Prompt, new GenerateOptions { MaxTokens = 100, Stop = new[] { "\n\n", "never" } });
            Assert.AreEqual(Golden.Substring(0, Golden.IndexOf("\n\n")), Text(generation));
            Assert.AreEqual(Finish.Stop, generation.Finish);
            Fails(Status.Argument, () => session.Generate("a", new GenerateOptions { Stop = new[] { "" } }));
        }
    }

    [Test]
    public void FlagsArePassedOn() {
        string end = Austen.Detokenize(new[] { Austen.Info.Eos.Value }, special: true);
        var forced = new SamplerOptions {
            LogitBias = new Dictionary<int, float> { { Austen.Info.Eos.Value, 1000f } }
        };
        using (Session session = NewSession()) {
            Generation ended = session.Generate(Prompt, new GenerateOptions { MaxTokens = 2, Sampler = forced });
            Assert.AreEqual("", Text(ended));
            Assert.AreEqual(Finish.EndToken, ended.Finish);
            int position = session.Position;
            var options = new GenerateOptions {
                MaxTokens = 2, Sampler = forced, Whole = true, IgnoreEnd = true, SpecialOutput = true
            };
            Assert.AreEqual(end + end, Text(session.Generate(Prompt, options)));
            Assert.AreEqual(position + 1, session.Position);
            session.Rewind();
            Text(session.Generate(end, new GenerateOptions { MaxTokens = 1, SpecialPrompt = true }));
            CollectionAssert.Contains(session.GetTokens(), Austen.Info.Eos.Value);
        }
    }

    [Test]
    public void EvaluatesSamplesAndGivesLogits() {
        int[] tokens = Austen.Tokenize(Prompt, bosEos: true);
        using (Session session = NewSession())
        using (var sampler = new Sampler()) {
            session.Eval(tokens, LogitsOf.All);
            float[] last = session.GetLogits(tokens.Length - 1);
            Assert.AreEqual(4096, last.Length);
            int best = Array.IndexOf(last, last.Max());
            Assert.AreEqual(best, sampler.Sample(session));
            Assert.AreEqual(best, sampler.Sample(last));
            session.Rewind(0);
            session.Eval(tokens);
            CollectionAssert.AreEqual(last, session.GetLogits());
            Fails(Status.Argument, () => session.GetLogits(1));
            Assert.Throws<ArgumentOutOfRangeException>(() => session.GetLogits(-1));
            CollectionAssert.AreEqual(tokens, session.GetTokens());
            session.Rewind(0);
            session.Eval(tokens, LogitsOf.None);
            Fails(Status.Argument, () => session.GetLogits());
            Fails(Status.Argument, () => session.Eval(new int[0]));
            Fails(Status.Argument, () => session.Eval(new[] { -5 }));
        }
    }

    [Test]
    public void EvaluatesABatch() {
        Session[] sessions = Enumerable.Range(0, 3).Select(_ => NewSession()).ToArray();
        var batch = new Batch();
        for (int i = 0; i < 3; i++) batch.Add(sessions[i], new[] { 5, 6, 7 + i });
        batch.Eval();
        for (int i = 0; i < 3; i++) {
            using (Session alone = NewSession()) {
                alone.Eval(new[] { 5, 6, 7 + i });
                CollectionAssert.AreEqual(alone.GetLogits(), sessions[i].GetLogits());
            }
        }
        batch.Add(sessions[0], new[] { 1 });
        StringAssert.Contains("twice", Fails(Status.Argument, () => batch.Eval()).Message);
    }

    [Test]
    public void SavesAndLoads() {
        string path = Path.Combine(Folder, "état 🌍.state");
        using (Session session = NewSession(), other = NewSession(), third = NewSession()) {
            Text(session.Generate(Prompt, Max(10)));
            session.Save(path);
            other.Load(path);
            third.LoadBytes(session.SaveBytes());
            using (Session fork = session.Fork()) {
                var all = new[] { session, other, third, fork };
                foreach (Session same in all) CollectionAssert.AreEqual(session.GetTokens(), same.GetTokens());
                Assert.AreEqual(1, all.Select(same => Text(same.Generate(" and", Max(20)))).Distinct().Count());
            }
            Fails(Status.Format, () => session.LoadBytes(new byte[8]));
            Assert.Throws<FileNotFoundException>(() => session.Load(Path.Combine(Folder, "missing")));
            Fails(Status.IO, () => session.Save(Path.Combine(Folder, "missing", "state")));
            using (Session stranger = Chatty.CreateSession()) {
                stranger.Eval(new[] { 1 });
                Fails(Status.Mismatch, () => session.LoadBytes(stranger.SaveBytes()));
            }
        }
    }

    [Test]
    public void AForkOutlivesItsOrigin() {
        Session origin = NewSession();
        origin.Eval(new[] { 1, 2, 3 });
        Session fork = origin.Fork();
        origin.Dispose();
        fork.Eval(new[] { 4 });
        Assert.AreEqual(4, fork.Position);
    }

    [Test]
    public void Counts() {
        using (Session session = NewSession()) {
            Text(session.Generate(Prompt, Max(5)));
            Assert.AreEqual(5, session.Perf.SampledTokens);
            Assert.Greater(session.Perf.PromptTime, TimeSpan.Zero);
            session.ResetPerf();
            Assert.AreEqual(0, session.Perf.SampledTokens);
        }
    }

    [Test]
    public void TooLongAPromptIsAnError() {
        using (Session session = NewSession(8)) {
            Fails(Status.Context, () => Text(session.Generate(Prompt + Prompt)));
            Assert.AreEqual(8, session.Context);
        }
        Assert.Greater(Austen.SessionMemory(new SessionOptions { Context = 512 }),
                       Austen.SessionMemory(new SessionOptions { Context = 8 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => Austen.CreateSession(new SessionOptions { Context = -1 }));
        var negative = new[] {
            new EngineOptions { Threads = -1 }, new EngineOptions { Batch = -1 }, new EngineOptions { GenerationThreads = -1 },
            new EngineOptions { PassMs = -1 }
        };
        foreach (EngineOptions options in negative) {
            Assert.Throws<ArgumentOutOfRangeException>(() => Austen.CreateEngine(options));
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => new Pool(new PoolOptions { Threads = -1 }));
    }

    [TestCase(Kv.Int8, "int8")]
    [TestCase(Kv.F16, "f16")]
    public void AnotherKindOfCache(Kv kind, string name) {
        using (Session session = NewSession(), other = NewSession(new SessionOptions { Kv = kind })) {
            session.Eval(new[] { 1, 2, 3 });
            other.Eval(new[] { 1, 2, 3 });
            CollectionAssert.AreNotEqual(session.GetLogits(), other.GetLogits());
            StringAssert.Contains(name, Fails(Status.Mismatch, () => session.LoadBytes(other.SaveBytes())).Message);
        }
    }

    [Test]
    public void KindsOfCacheTakeDifferentMemory() {
        Func<Kv, long> memory = kv => Austen.SessionMemory(new SessionOptions { Context = 20000, Kv = kv });
        Assert.AreEqual(memory(Kv.Int16), memory(Kv.Default));
        Assert.Less(memory(Kv.Int8), 0.6 * memory(Kv.F16));
        Assert.Greater(memory(Kv.Int16), memory(Kv.F16));
        Assert.Less(memory(Kv.Int16), 1.1 * memory(Kv.F16));
    }

    // The nanoseconds that each thread of this process has computed.
    private static Dictionary<string, long> ProcessorTimes() {
        return Directory.GetDirectories("/proc/self/task")
            .Select(task => Path.Combine(task, "schedstat"))
            .Where(File.Exists)  // a thread may have ended meanwhile
            .ToDictionary(file => file, file => long.Parse(File.ReadAllText(file).Split(' ')[0]));
    }

    [Test]
    public void OneThreadGenerates() {
        ICollection<string> others = ProcessorTimes().Keys;
        var options = new EngineOptions { Threads = 2, GenerationThreads = 1 };
        using (Engine engine = Austen.CreateEngine(options))
        using (Session session = engine.CreateSession(new SessionOptions { Context = 600 })) {
            string[] workers = ProcessorTimes().Keys.Except(others).ToArray();
            if (workers.Length == 0) Assert.Ignore("there is one CPU");
            session.Eval(new[] { 1, 2, 3 });
            Dictionary<string, long> before = ProcessorTimes();
            for (int i = 0; i < 500; i++) session.Eval(new[] { 3 });
            Dictionary<string, long> after = ProcessorTimes();
            string[] both = before.Keys.Intersect(after.Keys).ToArray();
            Func<string, long> took = task => after[task] - before[task];
            Assert.Less(both.Intersect(workers).Select(took).DefaultIfEmpty().Max(), both.Max(took) / 2);
        }
    }

    [Test]
    public void EnginesShareAPool() {
        using (var pool = new Pool(new PoolOptions { Threads = 2 }))
        using (Model chat = Model.Open(ChatModelPath))
        using (Engine engine = Austen.CreateEngine(new EngineOptions { Batch = 7 }, pool), other = chat.CreateEngine(null, pool)) {
            Task evaluating = Task.Run(() => {
                using (Session session = other.CreateSession()) {
                    for (int i = 0; i < 50; i++) session.Eval(new[] { 1 });
                }
            });
            Parallel.For(0, 3, _ => {
                using (Session session = engine.CreateSession()) Assert.AreEqual(Golden, Text(session.Generate(Prompt, Max(100))));
            });
            evaluating.Wait();
            Assert.AreEqual("Engine[austen]", engine.ToString());
            Assert.AreEqual("Pool[ready]", pool.ToString());
        }
    }

    [Test]
    public void SessionsOutliveTheirEngineAndEnginesTheirPool() {
        var pool = new Pool(new PoolOptions { Threads = 1 });
        Engine engine = Austen.CreateEngine(pool: pool);
        pool.Dispose();
        using (Session session = engine.CreateSession(new SessionOptions { Priority = Priority.Background })) {
            engine.Dispose();
            Assert.AreEqual(Golden, Text(session.Generate(Prompt, Max(100))));
        }
        pool.Dispose();
        engine.Dispose();
        Disposed<Engine>(() => engine.CreateSession());
        Disposed<Pool>(() => Austen.CreateEngine(pool: pool));
        Assert.AreEqual("Engine[austen, disposed]", engine.ToString());
        Assert.AreEqual("Pool[disposed]", pool.ToString());
        Assert.Greater(Austen.EngineMemory(new EngineOptions { Batch = 512 }), Austen.EngineMemory(new EngineOptions { Batch = 8 }));
    }

    [Test]
    public void ABudgetOfKeysAndValues() {
        long page = Austen.SessionMemory(new SessionOptions { Context = 128 }) - Austen.SessionMemory(new SessionOptions { Context = 64 });
        using (Engine engine = Austen.CreateEngine(new EngineOptions { Threads = 1, KvBytes = (ulong)(3 * page) }))
        using (engine.CreateSession(new SessionOptions { Context = 64 })) {
            StringAssert.Contains("kv_bytes", Fails(Status.Memory, () => engine.CreateSession(new SessionOptions { Context = 128 })).Message);
            Assert.AreEqual(0, engine.Trim());
        }
        Fails(Status.Argument, () => Austen.CreateEngine(new EngineOptions { Overcommit = true }));
        Assert.GreaterOrEqual(Austen.Trim(), 0);
    }

    [Test]
    public void ASessionIsBusyWhileTextIsGenerated() {
        using (Session session = NewSession()) {
            using (Generation generation = session.Generate(Prompt, Max(10))) {
                using (IEnumerator<string> pieces = generation.GetEnumerator()) {
                    pieces.MoveNext();
                    Fails(Status.Busy, () => session.Fork());
                }
            }
            session.Fork().Dispose();
        }
    }

    [Test]
    public void ThreadsShareAModel() {
        var texts = new string[4];
        Parallel.For(0, 4, i => {
            using (Session session = NewSession()) texts[i] = Text(session.Generate(Prompt, Max(100)));
        });
        CollectionAssert.AreEqual(Enumerable.Repeat(Golden, 4), texts);
    }

    [Test]
    public void ThreadsShareASession() {
        using (Session session = NewSession()) {
            Parallel.For(0, 80, _ => session.Eval(new[] { 3 }));
            Assert.AreEqual(80, session.Position);
        }
    }

    [Test]
    public void ALongPromptCanBeCancelled() {
        using (Session session = LongSession())
        using (var source = new CancellationTokenSource()) {
            int[] tokens = longPrompt.Value;
            Interrupts<OperationCanceledException>(source.Cancel,
                                                   () => session.Eval(tokens, LogitsOf.Last, source.Token));
            Assert.AreEqual(0, session.Position);
            Assert.Throws<OperationCanceledException>(() => session.Eval(tokens, LogitsOf.Last, source.Token));
            session.Eval(new[] { 1, 2, 3 });
        }
    }

    [Test]
    public void AGenerationCanBeCancelled() {
        using (Session session = LongSession())
        using (var source = new CancellationTokenSource()) {
            int[] tokens = longPrompt.Value;
            Generation byToken = session.Generate(tokens, null, source.Token);
            Interrupts<OperationCanceledException>(source.Cancel, () => Text(byToken));
            session.Rewind();
            Generation byCall = session.Generate(tokens);
            Interrupts<BitnetException>(byCall.Cancel, () => Text(byCall));
            byCall.Cancel();
            session.Eval(new[] { 1, 2, 3 });
        }
    }

    [Test]
    public void AnAsynchronousGenerationCanBeCancelled() {
        using (Session session = LongSession())
        using (var source = new CancellationTokenSource()) {
            Generation.AsyncEnumerator pieces = session.Generate(longPrompt.Value).GetAsyncEnumerator(source.Token);
            Interrupts<OperationCanceledException>(source.Cancel, () => {
                pieces.MoveNextAsync().GetAwaiter().GetResult();
            });
            pieces.DisposeAsync().Wait();
            session.Eval(new[] { 1, 2, 3 });
        }
    }

    [Test]
    public void DisposingOfASessionAtWorkCancelsIt() {
        Session session = LongSession();
        int[] tokens = longPrompt.Value;
        string told = null;
        Interrupts<BitnetException>(() => {
            told = session.ToString();
            session.Dispose();
        }, () => session.Eval(tokens));
        Assert.AreEqual("Session[austen, in a call]", told);
        Disposed<Session>(() => session.Eval(tokens));
    }

    [Test]
    public void ThreadsMayDisposeAtAnyTime() {
        for (int round = 0; round < 30; round++) {
            Session session = NewSession(2000);
            Generation generation = session.Generate(Prompt);
            Action[] actions = {
                () => Text(generation), () => { for (int i = 0; i < 50; i++) session.GetTokens().ToString(); },
                generation.Dispose, session.Dispose
            };
            var names = new[] { typeof(Session).FullName, typeof(Generation).FullName };
            Parallel.ForEach(actions, action => {
                try {
                    action();
                } catch (BitnetException exception) when (exception.Status == Status.Cancelled) {
                    return;
                } catch (ObjectDisposedException exception) when (names.Contains(exception.ObjectName)) {
                    return;
                }
            });
            session.Dispose();
        }
    }

    [Test]
    public void AnExceptionInTheLoopLeavesTheSessionUsable() {
        using (Session session = NewSession()) {
            Assert.Throws<Mine>(() => {
                foreach (string _ in session.Generate(Prompt, Max(50))) throw new Mine();
            });
            session.Rewind();
            Assert.AreEqual(Golden, Text(session.Generate(Prompt, Max(100))));
        }
    }

    [Test]
    public void LeavingTheLoopEndsTheGeneration() {
        using (Session session = NewSession()) {
            Generation generation = session.Generate(Prompt);
            Assert.AreEqual(3, generation.Take(3).Count());
            Disposed<Generation>(() => Text(generation));
        }
    }

    [Test]
    public void ChangingTheSessionEndsItsGeneration() {
        using (Session session = NewSession()) {
            IEnumerator<string> pieces = session.Generate(Prompt).GetEnumerator();
            Assert.IsTrue(pieces.MoveNext());
            session.Rewind();
            StringAssert.Contains("over", Fails(Status.Argument, () => pieces.MoveNext()).Message);
            Generation first = session.Generate(Prompt), second = session.Generate(Prompt, Max(3));
            Fails(Status.Argument, () => Text(first));
            Assert.IsNotEmpty(Text(second));
        }
    }

    [Test]
    public void UsingWhatIsDisposedIsAnError() {
        Session session = NewSession();
        Generation generation = session.Generate(Prompt);
        var sampler = new Sampler();
        session.Eval(new[] { 1 });
        foreach (IDisposable thing in new IDisposable[] { generation, session, sampler }) {
            thing.Dispose();
            thing.Dispose();
        }
        var batch = new Batch();
        batch.Add(session, new[] { 1 });
        using (Session other = NewSession()) {
            other.Eval(new[] { 1 });
            var uses = new TestDelegate[] {
                () => session.Eval(new[] { 1 }), () => session.GetTokens().ToString(),
                () => session.Position.ToString(), () => session.Fork(), () => session.Generate("a"),
                () => session.GetLogits(), () => session.Perf.ToString(), () => session.SaveBytes(),
                () => session.Rewind(), () => batch.Eval(), () => sampler.Sample(session)
            };
            foreach (TestDelegate use in uses) Disposed<Session>(use);
            Disposed<Sampler>(() => sampler.Reseed(1));
            Disposed<Sampler>(() => sampler.Sample(other));
            Disposed<Sampler>(() => sampler.Sample(new float[3]));
            Disposed<Session>(() => Text(generation));
            Generation closed = other.Generate(Prompt);
            closed.Dispose();
            Disposed<Generation>(() => Text(closed));
        }
        generation.Cancel();
    }
}
