// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading;
using Bitnet;
using NUnit.Framework;

/// <summary>Opening models, what they tell, and text.</summary>
[TestFixture]
public class ModelTest : Fixture {
    private sealed class Mine : Exception {}

    private sealed class OnReport : IProgress<WorkProgress> {
        private readonly Action<WorkProgress> action;
        internal OnReport(Action<WorkProgress> action) { this.action = action; }
        public void Report(WorkProgress value) => action(value);
    }

    [Test]
    public void OpensFromMemory() {
        using (var model = Model.Open(File.ReadAllBytes(ModelPath))) {
            Collect();
            using (Session session = model.CreateSession()) {
                Assert.AreEqual(Golden, Text(session.Generate(Prompt, Max(100))));
            }
        }
    }

    [Test]
    public void OpensAPathWithOtherLetters() {
        string path = Path.Combine(Folder, "Modèle 模型 🌍.bitnet");
        File.Copy(ModelPath, path);
        using (var model = Model.Open(path)) Assert.AreEqual("austen", model.Info.Name);
    }

    [Test]
    public void TellsOfTheModel() {
        ModelInfo info = Austen.Info;
        Assert.AreEqual("austen bitnet-b1.58 i2 f16",
                        string.Join(" ", info.Name, info.Architecture, info.Packing, info.Head));
        Assert.AreEqual(4096, info.Vocabulary);
        Assert.AreEqual(6, info.Layers);
        Assert.AreEqual(0, info.Bos);
        Assert.AreEqual(1, info.Eos);
        Assert.AreEqual(new FileInfo(ModelPath).Length, info.FileBytes);
        Assert.IsFalse(info.HasChatTemplate);
        Assert.IsTrue(Chatty.Info.HasChatTemplate);
        CollectionAssert.Contains(Library.IsaNames, info.Isa);
        Assert.AreEqual("MIT", Austen.Metadata["general.license"]);
    }

    [Test]
    public void HasOptionsOfOpening() {
        using (var model = Model.Open(ModelPath, new OpenOptions { Isa = "scalar", Verify = true })) {
            Assert.AreEqual("scalar", model.Info.Isa);
        }
        var options = new OpenOptions { GgufPacking = Packing.T5, GgufHead = Head.Int8 };
        using (var model = Model.Open(ChatModelPath, options)) {
            Assert.AreEqual("t5 int8", model.Info.Packing + " " + model.Info.Head);
        }
        foreach (Head head in Enum.GetValues(typeof(Head))) {
            using (var model = Model.Open(ChatModelPath, new OpenOptions { GgufHead = head })) {
                string name = head == Head.Default ? "f16" : head.ToString().ToLowerInvariant();
                Assert.AreEqual(name, model.Info.Head);
            }
        }
        StringAssert.Contains("nonsense", Fails(Status.Unsupported, () => Model.Open(
            ModelPath, new OpenOptions { Isa = "nonsense" })).Message);
        Fails(Status.Argument, () => Model.Open(ChatModelPath, new OpenOptions { GgufPacking = (Packing)77 }));
    }

    [Test]
    public void ReportsProgressAndLogs() {
        var steps = new List<WorkProgress>();
        var lines = new List<string>();
        Model.Open(ModelPath, new OpenOptions {
            Verify = true,
            Progress = new OnReport(steps.Add),
            Log = (level, text) => lines.Add(level + ": " + text)
        }).Dispose();
        Assert.IsNotEmpty(steps);
        Assert.IsTrue(steps.All(step => step.Done <= step.Total));
        Assert.IsTrue(lines.Any(line => line.StartsWith("Info: ") && line.Contains("kernels")));
    }

    [Test]
    public void OpeningCanBeCancelled() {
        using (var source = new CancellationTokenSource()) {
            var options = new OpenOptions { Verify = true, Progress = new OnReport(_ => source.Cancel()) };
            Assert.Throws<OperationCanceledException>(() => Model.Open(ModelPath, options, source.Token));
            Assert.Throws<OperationCanceledException>(() => Model.Open(ModelPath, null, source.Token));
        }
    }

    [Test]
    public void WhatACallbackThrowsComesOut() {
        var fails = new OnReport(_ => { throw new Mine(); });
        Assert.Throws<Mine>(() => Model.Open(ModelPath, new OpenOptions { Verify = true, Progress = fails }));
        Assert.Throws<Mine>(() => Model.Open(ModelPath, new OpenOptions { Log = (_, __) => { throw new Mine(); } }));
        Assert.Throws<Mine>(() => Library.Verify(ModelPath, fails));
        Model.Open(ModelPath).Dispose();
    }

    [TestCase("")]
    [TestCase("GGUF")]
    [TestCase("no model at all, and long enough to be looked at for a header of some kind")]
    public void DamagedFilesAreErrors(string content) {
        string path = Path.Combine(Folder, "bad.bitnet");
        File.WriteAllText(path, content);
        StringAssert.Contains("bad.bitnet", Fails(Status.Format, () => Model.Open(path)).Message);
        Fails(Status.Format, () => Model.Open(Encoding.UTF8.GetBytes(content)));
    }

    [Test]
    public void MissingFilesAreErrors() {
        var missing = Assert.Throws<FileNotFoundException>(() => Model.Open("nicht da ä"));
        StringAssert.Contains("nicht da ä", missing.Message);
        Assert.Throws<FileNotFoundException>(() => Library.Verify("nicht da ä"));
        Assert.Throws<FileNotFoundException>(() => Library.Convert("nicht da ä", Path.Combine(Folder, "new")));
        StringAssert.Contains("is a directory", Fails(Status.IO, () => Model.Open(Folder)).Message);
        StringAssert.Contains("zero byte", Fails(Status.Argument, () => Model.Open("a\0b")).Message);
    }

    [TestCase("")]
    [TestCase(Prompt)]
    [TestCase("naïve — 🌍 日本\0.")]
    public void TokenizesBothWays(string text) {
        Assert.AreEqual(text, Austen.Detokenize(Austen.Tokenize(text)));
    }

    [Test]
    public void KnowsControlTokens() {
        int end = Austen.Info.Eos.Value;
        Assert.AreEqual(Austen.Info.Bos, Austen.Tokenize("a", bosEos: true)[0]);
        Assert.IsTrue(Austen.IsControl(end) && Austen.IsEnd(end));
        Assert.IsFalse(Austen.IsControl(Austen.Tokenize("a")[0]));
        Assert.AreEqual("", Austen.Detokenize(new[] { end }));
        Assert.AreNotEqual("", Austen.Detokenize(new[] { end }, special: true));
        Fails(Status.Argument, () => Austen.Detokenize(new[] { 4096 }));
        Fails(Status.Argument, () => Austen.Detokenize(new[] { -1 }));
    }

    [Test]
    public void ADecoderNeverSplitsACharacter() {
        const string text = "naïve — 🌍";
        TokenDecoder decoder = Austen.CreateDecoder();
        string decoded = string.Concat(Austen.Tokenize(text).Select(decoder.Push));
        Assert.AreEqual(text, decoded + decoder.Finish());
        decoder.Dispose();
        decoder.Dispose();
        Assert.Throws<ObjectDisposedException>(() => decoder.Push(5));
    }

    [Test]
    public void Chats() {
        var messages = new[] { Message.System("Be brief."), Message.User("Grüße!") };
        const string prompt = "<|system|>Be brief.<|end|><|user|>Grüße!<|end|><|assistant|>";
        Assert.AreEqual(prompt, Chatty.ChatPrompt(messages));
        Assert.AreEqual(prompt.Replace("<|assistant|>", ""), Chatty.ChatPrompt(messages, promptReply: false));
        using (Session session = Chatty.CreateSession()) {
            Generation first = session.Chat(messages, Max(5));
            Text(first);
            Assert.AreEqual(5, first.Tokens.Count);
            Generation again = session.Chat(messages, Max(5));
            Text(again);
            CollectionAssert.AreEqual(first.Tokens, again.Tokens);
        }
        Fails(Status.Unsupported, () => Austen.ChatPrompt(messages));
    }

    [Test]
    public void UsingADisposedModelIsAnError() {
        Model model = Model.Open(ModelPath);
        Session session = model.CreateSession();
        model.Dispose();
        model.Dispose();
        var uses = new TestDelegate[] {
            () => model.Info.ToString(), () => model.Metadata.ToString(), () => model.Tokenize("a"),
            () => model.Detokenize(new[] { 1 }), () => model.IsEnd(1), () => model.CreateSession(),
            () => model.CreateDecoder(), () => model.SessionMemory(), () => model.ChatPrompt(new Message[0])
        };
        foreach (TestDelegate use in uses) Assert.Throws<ObjectDisposedException>(use);
        Assert.IsNotEmpty(Text(session.Generate("a", Max(3))));
    }

    [Test]
    public void NothingGeneratedIsPublic() {
        foreach (Type type in typeof(Model).Assembly.GetExportedTypes())
            Assert.AreEqual("Bitnet", type.Namespace, type.Name);
    }

    [Test]
    public void NullIsAnError() {
        using (Session session = NewSession())
        using (var sampler = new Sampler()) {
            var uses = new TestDelegate[] {
                () => Model.Open((string)null), () => Model.Open((byte[])null), () => Austen.Tokenize(null),
                () => Austen.Detokenize(null), () => Austen.ChatPrompt(null), () => Austen.ChatPrompt(new Message[1]),
                () => new Message(null, "a"), () => session.Generate((string)null), () => session.Generate((int[])null),
                () => session.Chat(null), () => session.Eval(null), () => session.Load(null),
                () => session.LoadBytes(null), () => session.Save(null), () => sampler.Sample((Session)null),
                () => sampler.Sample((float[])null), () => new Batch().Add(null, new[] { 1 }),
                () => new Batch().Add(session, null), () => Library.Verify(null), () => Library.Convert(null, "a"),
                () => session.Generate("a", new GenerateOptions { Sampling = null }),
                () => session.Generate("a", new GenerateOptions { Stop = new string[1] }),
                () => new Sampler(new SamplerOptions { LogitBias = null })
            };
            foreach (TestDelegate use in uses) Assert.Throws<ArgumentNullException>(use);
        }
    }

    [Test]
    public void ConvertsAndVerifies() {
        string path = Path.Combine(Folder, "neu ä.bitnet");
        int steps = 0;
        Library.Convert(ChatModelPath, path,
                        new ConvertOptions { Packing = Packing.T5, Progress = new OnReport(_ => steps++) });
        Assert.Greater(steps, 0);
        Library.Verify(path);
        using (var model = Model.Open(path)) Assert.AreEqual("t5", model.Info.Packing);
        using (FileStream file = File.OpenWrite(path)) file.SetLength(file.Length - 1);
        Fails(Status.Format, () => Library.Verify(path));
    }
}
