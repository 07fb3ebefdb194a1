// SPDX-License-Identifier: MIT
using System;
using System.Diagnostics;
using System.IO;
using System.Threading;
using Bitnet;
using NUnit.Framework;

/// <summary>What the tests share: the models, the text that C writes, and a folder.</summary>
public abstract class Fixture {
    protected const string Prompt = "It was a fine morning, and";
    protected static readonly string ModelPath = Variable("BITNET_MODEL");
    protected static readonly string ChatModelPath = Variable("BITNET_CHAT_MODEL");
    protected static readonly string Golden = File.ReadAllText(Variable("BITNET_GOLDEN")).TrimEnd('\n');

    private static readonly Lazy<Model> shared = new Lazy<Model>(() => Model.Open(ModelPath));
    private static readonly Lazy<Model> sharedChat = new Lazy<Model>(() => Model.Open(ChatModelPath));

    protected static Model Austen => shared.Value;
    protected static Model Chatty => sharedChat.Value;

    protected string Folder { get; private set; }

    [SetUp]
    public void MakeFolder() {
        Folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        Directory.CreateDirectory(Folder);
    }

    [TearDown]
    public void RemoveFolder() => Directory.Delete(Folder, true);

    private static string Variable(string name) {
        return Environment.GetEnvironmentVariable(name) ?? throw new InvalidOperationException(name + " is not set");
    }

    protected static Session NewSession(int context = 0) {
        return NewSession(new SessionOptions { Context = context });
    }

    // For which one thread computes.
    protected static Session NewSession(SessionOptions options) {
        using (Engine engine = Austen.CreateEngine(new EngineOptions { Threads = 1 })) {
            return engine.CreateSession(options);
        }
    }

    protected static GenerateOptions Max(int tokens) => new GenerateOptions { MaxTokens = tokens };

    protected static string Text(Generation generation) => string.Concat(generation);

    protected static BitnetException Fails(Status status, TestDelegate call) {
        var exception = Assert.Throws<BitnetException>(call);
        Assert.AreEqual(status, exception.Status, exception.Message);
        return exception;
    }

    /// <summary>It throws that an object of this type is disposed of.</summary>
    protected static void Disposed<T>(TestDelegate call) {
        var exception = Assert.Throws<ObjectDisposedException>(call);
        Assert.AreEqual(typeof(T).FullName, exception.ObjectName);
        StringAssert.Contains(typeof(T).FullName, exception.Message);
    }

    protected static long ResidentBytes() {
        Collect();
        using (Process self = Process.GetCurrentProcess()) return self.WorkingSet64;
    }

    protected static void Collect() {
        for (int i = 0; i < 2; i++) {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }
}
